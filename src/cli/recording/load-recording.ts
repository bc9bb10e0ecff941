/** From the file and the flags of `run` to a recorded workflow and how it is to be run. */
import path from "node:path";
import { HoldfastError } from "../../errors/index.ts";
import type { WfInstance } from "../../sdk/workflow/wf-format.ts";
import type { CliContext } from "../context.ts";
import { readJson } from "../load-definition.ts";

/** As the command line has them. */
export interface RecordingFlags {
  readonly broker?: string;
  readonly detach?: boolean;
  readonly timeScale?: number;
  readonly slots?: number;
  readonly killEvery?: number;
  readonly order?: RecordingOrder;
  readonly files?: boolean;
}

export interface RecordingOptions {
  /** 1: as long as recorded. */
  readonly timeScale: number;
  /** Attempts that run at the same time: so many workers, each with one. */
  readonly slots: number;
  /** Mean time between two kills; absent: none. */
  readonly killEveryMs: number | undefined;
  readonly order: RecordingOrder;
  /** Results as large as the recorded files. */
  readonly files: boolean;
  readonly broker: string | undefined;
}

export const RECORDING_ORDERS = ["critical-path", "fifo"] as const;
export type RecordingOrder = (typeof RECORDING_ORDERS)[number];

export interface Recording {
  readonly instance: WfInstance;
  readonly options: RecordingOptions;
}

export const DEFAULT_SLOTS = 4;
export const MOST_SLOTS = 256;

/**
 * Undefined for every other file.
 *
 * @throws HoldfastError INVALID_FILE for a recording that makes no sense; INVALID_OPTION for flags that
 * are out of their range, or are for recordings and the file is none.
 */
export async function loadRecording(
  { workingDirectory }: CliContext,
  file: string,
  flags: RecordingFlags,
): Promise<Recording | undefined> {
  if (/\.json$/i.test(file)) {
    const json = await readJson(path.resolve(workingDirectory, file));
    const { isWfFormat, readWfFormat } = await import("../../sdk/workflow/wf-format.ts");
    if (isWfFormat(json)) return { instance: readWfFormat(json, file), options: optionsOf(flags) };
  }
  const { timeScale, slots, killEvery, order, files } = flags;
  const given = Object.entries({
    "--time-scale": timeScale,
    "--slots": slots,
    "--kill-every": killEvery,
    "--order": order,
    "--files": files,
  });
  const [option] = given.find(([, value]) => value !== undefined) ?? [];
  if (option === undefined) return undefined;
  throw new HoldfastError("INVALID_OPTION", { option, value: "given", expected: "a recorded workflow in WfFormat" });
}

function optionsOf(flags: RecordingFlags): RecordingOptions {
  const {
    broker,
    detach,
    timeScale = 1,
    slots = DEFAULT_SLOTS,
    killEvery,
    order = "critical-path",
    files = false,
  } = flags;
  if (detach === true) {
    const expected = "a run that is watched: it measures a recorded workflow";
    throw new HoldfastError("INVALID_OPTION", { option: "--detach", value: "given", expected });
  }
  return { timeScale, slots, killEveryMs: killEvery, order, files, broker };
}
