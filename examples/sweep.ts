/**
 * Tunes a PID controller: 1,000 settings, each tried on a simulated motor that has to reach and
 * hold a position.
 *
 *     npx holdfast run examples/sweep.ts
 */
import { defineTask, grid, linspace, stats, sweep, topK } from "holdfast";
import { z } from "zod";

const STEP_SECONDS = 0.001;
const SIMULATED_SECONDS = 8;
const TARGET = 1;
/** The motor: how strongly it resists moving, and how late it feels the controller, in steps. */
const FRICTION = 1.2;
const DELAY_STEPS = 60;

interface Behaviour {
  /** Squared distance from the target, summed over time: small is good. */
  readonly cost: number;
  /** How far it shot past the target, as a share. */
  readonly overshoot: number;
  /** After this many seconds it stays within 2 % of the target; the whole time if it never does. */
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
    const steps = SIMULATED_SECONDS / STEP_SECONDS;
    for (let step = 0; step < steps; step++) {
      const error = TARGET - position;
      integral += error * STEP_SECONDS;
      underway.push(kp * error + ki * integral + (kd * (error - lastError)) / STEP_SECONDS);
      lastError = error;
      const force = Math.max(-20, Math.min(20, underway.shift() ?? 0));
      speed += (force - FRICTION * speed) * STEP_SECONDS;
      position += speed * STEP_SECONDS;
      cost += error * error * STEP_SECONDS;
      highest = Math.max(highest, position);
      if (Math.abs(TARGET - position) > 0.02 * TARGET) settlingSeconds = (step + 1) * STEP_SECONDS;
    }
    return { cost, overshoot: Math.max(0, highest / TARGET - 1), settlingSeconds };
  },
});

export default sweep(tryController, {
  over: grid({ kp: linspace(0.5, 10, 20), ki: linspace(0, 4.5, 10), kd: linspace(0, 2, 5) }),
  reduce: {
    best: topK("cost", 5, { order: "min" }),
    settling: stats("settlingSeconds", { quantiles: [0.1, 0.5, 0.9] }),
  },
  verify: { sample: 0.05 },
});
