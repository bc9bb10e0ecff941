import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { type Measure, timedMs } from "../measure.ts";
import { openBroker } from "../open.ts";
import { noOpArray, submitNoOps } from "../work.ts";

const WAITING_TASKS = 100_000;
const ARRAY_LENGTH = 1_000_000_000;

export const waitingBytes: Measure = {
  name: "waiting-bytes",
  about: "Bytes on disk per waiting task of 100 bytes.",
  rounds: 3,
  round: async (context) => {
    const folder = context.folder();
    const before = await emptySize(folder);
    const broker = await openBroker(folder);
    await submitNoOps(broker, WAITING_TASKS);
    await broker.close();
    const value = (sizeOf(folder) - before) / WAITING_TASKS;
    return [{ system: "holdfast", setting: `${WAITING_TASKS.toLocaleString("en-US")} tasks`, unit: "bytes", value }];
  },
};

export const arraySubmit: Measure = {
  name: "array-submit",
  about: "Time to submit a sweep of 10⁹ points, and what it adds to the file.",
  rounds: 5,
  round: async (context) => {
    const folder = context.folder();
    const before = await emptySize(folder);
    const broker = await openBroker(folder);
    const wallMs = await timedMs(() => broker.submit({ submissions: [noOpArray(ARRAY_LENGTH)] }));
    await broker.close();
    const setting = "10⁹ points";
    return [
      { system: "holdfast", setting, unit: "ms", value: wallMs },
      { system: "holdfast", setting, unit: "bytes", value: sizeOf(folder) - before },
    ];
  },
};

/** Makes an empty store and tells its size. Closing a store folds its journal into the file. */
async function emptySize(folder: string): Promise<number> {
  await (await openBroker(folder)).close();
  return sizeOf(folder);
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((bytes, file) => bytes + statSync(path.join(folder, file)).size, 0);
}
