import { type Measure, type Sample, timedMs } from "../measure.ts";
import { openBroker } from "../open.ts";
import { RawQueue } from "../raw-sqlite.ts";
import { noOpInputs, noOpTasks } from "../work.ts";

const TASKS_PER_CALL = 500;
const CALLS = 100;
const IN_FLIGHT = 4;

export const submit: Measure = {
  name: "submit",
  about: "Tasks of 100 bytes submitted per second, 500 a call, each call durable.",
  rounds: 5,
  round: async (context) => {
    const samples: Sample[] = [];
    const broker = await openBroker(context.folder());
    const wallMs = await timedMs(async () => {
      let calls = CALLS;
      const lane = async (): Promise<void> => {
        for (; calls > 0;) {
          calls -= 1;
          await broker.submit({ submissions: [noOpTasks(TASKS_PER_CALL)] });
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    });
    await broker.close();
    samples.push(perSecond("holdfast", `${TASKS_PER_CALL} a call, ${IN_FLIGHT} in flight`, wallMs));

    const raw = new RawQueue(context.folder());
    const rawMs = await timedMs(async () => {
      for (let call = 0; call < CALLS; call += 1) raw.submit(noOpInputs(TASKS_PER_CALL));
    });
    raw.close();
    samples.push(perSecond("bare node:sqlite", `${TASKS_PER_CALL} a transaction`, rawMs));
    return samples;
  },
};

function perSecond(system: string, setting: string, wallMs: number): Sample {
  return { system, setting, unit: "tasks/s", value: (CALLS * TASKS_PER_CALL) / (wallMs / 1_000) };
}
