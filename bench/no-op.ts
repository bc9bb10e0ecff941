/** Tasks that runners load for the benchmark. */
import { defineTask } from "../src/sdk/task.ts";
import { nowMs } from "./measure.ts";

export const noOp = defineTask({ name: "no-op", run: (_input: number) => null });

/** Answers when it was started. */
export const startedAt = defineTask({ name: "started-at", run: (_input: number) => nowMs() });

export const nothing = defineTask({ name: "nothing", run: (): null => null });

/** Of a chain: hands on what it was given. */
export const step = defineTask({
  name: "step",
  run: ({ value }: { readonly value: number }) => ({ value: value + 1 }),
});
