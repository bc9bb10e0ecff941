/** Tasks that runners load for the benchmark. */
import { defineTask } from "../src/sdk/task.ts";
import { nowMs } from "./measure.ts";

export const noOp = defineTask({ name: "no-op", run: (_input: number) => null });

/** Answers when it was started. */
export const startedAt = defineTask({ name: "started-at", run: (_input: number) => nowMs() });
