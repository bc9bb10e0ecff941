/**
 * Tunes a PID controller: 1,000 settings, each tried on a simulated motor that has to reach and
 * hold a position.
 *
 *     npx holdfast run examples/sweep.ts
 */
import { defineTask, grid, range, stats, sweep, topK } from "holdfast";
import { z } from "zod";

const STEP_SECONDS = 0.001;
const SIMULATED_SECONDS = 8;
const TARGET = 1;
/** Further than this from the target, as a share of it, the motor has not settled. */
const TOLERANCE = 0.02;
/** The motor: how strongly it resists moving, what pulls it back, and how late it feels the controller. */
const FRICTION = 1.2;
const LOAD = 0.8;
const DELAY_STEPS = 100;
const MAX_FORCE = 20;

interface Behaviour {
  /** Distance from the target over time, weighted by time: what is still wrong later costs more. */
  readonly cost: number;
  /** How far it shot past the target, as a share of it. */
  readonly overshoot: number;
  /** When it came within the tolerance to stay; the whole time if it never did. */
  readonly settlingSeconds: number;
}

export const tryController = defineTask({
  name: "try-controller",
  input: z.object({ kp: z.number().positive(), ki: z.number().min(0), kd: z.number().min(0) }),
  timeout: "10s",
  run: ({ kp, ki, kd }): Behaviour => {
    let position = 0;
    let speed = 0;
    let integral = 0;
    let lastError = TARGET;
    let cost = 0;
    let highest = 0;
    let settlingSeconds = 0;
    const underway = new Array<number>(DELAY_STEPS).fill(0);
    for (let step = 0; step * STEP_SECONDS < SIMULATED_SECONDS; step++) {
      const error = TARGET - position;
      integral += error * STEP_SECONDS;
      underway.push(kp * error + ki * integral + (kd * (error - lastError)) / STEP_SECONDS);
      lastError = error;
      const force = Math.max(-MAX_FORCE, Math.min(MAX_FORCE, underway.shift() ?? 0));
      speed += (force - LOAD - FRICTION * speed) * STEP_SECONDS;
      position += speed * STEP_SECONDS;
      cost += step * STEP_SECONDS * Math.abs(error) * STEP_SECONDS;
      highest = Math.max(highest, position);
      if (Math.abs(TARGET - position) > TOLERANCE * TARGET) settlingSeconds = (step + 1) * STEP_SECONDS;
    }
    return { cost, overshoot: Math.max(0, highest / TARGET - 1), settlingSeconds };
  },
});

export default sweep(tryController, {
  over: grid({ kp: range(1, 21), ki: range(0, 10), kd: range(0, 10, 2) }),
  reduce: {
    best: topK("cost", 5, { order: "min" }),
    settling: stats("settlingSeconds", { quantiles: [0.1, 0.5, 0.9] }),
  },
  verify: { sample: 0.05 },
});
