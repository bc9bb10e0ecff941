/** Files that a person named on the command line: checked before the work, written in one step after it. */
import { accessSync, constants, createWriteStream, existsSync, statSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HoldfastError } from "../errors/index.ts";
import { knownError } from "./report-error.ts";

/**
 * Refuses a file that could not be written, before minutes of work are spent on what goes in.
 *
 * @throws HoldfastError INVALID_OPTION
 */
export function requireWritable(flag: string, file: string): void {
  const folder = path.dirname(file);
  const refuse = (expected: string): never => {
    throw new HoldfastError("INVALID_OPTION", { option: flag, value: JSON.stringify(file), expected });
  };
  if (!existsSync(folder)) refuse(`a file in a folder that exists (there is no ${folder})`);
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) refuse("a file, not a folder");
  try {
    if (existsSync(file)) accessSync(file, constants.W_OK);
    if (isPlainFile(file)) accessSync(folder, constants.W_OK);
  } catch {
    refuse("a file that this user may write");
  }
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeWhole(file, [`${JSON.stringify(value, null, 2)}\n`]);
}

/**
 * The report of `work` goes into the file, if one was asked for; when `work` fails, its error does,
 * so that a program that reads the file is never left with an old report.
 */
export async function reportingTo<Report>(file: string | undefined, work: () => Promise<Report>): Promise<Report> {
  let report: Report;
  try {
    report = await work();
  } catch (thrown) {
    const error = knownError(thrown);
    if (file !== undefined && error !== undefined)
      await writeJson(file, { error: { code: error.code, message: error.message, details: error.details } });
    throw thrown;
  }
  if (file !== undefined) await writeJson(file, report);
  return report;
}

/**
 * Writes a file in one step: under another name until it is whole, so that a reader sees the old one
 * or the whole new one. What is no plain file (`/dev/stdout`, a pipe) is written to directly.
 *
 * @throws HoldfastError STORE_FULL, STORE_FAILED, or what `text` throws.
 */
export async function writeWhole(file: string, text: AsyncIterable<string> | Iterable<string>): Promise<void> {
  const inPlace = !isPlainFile(file);
  const target = inPlace ? file : `${file}.${process.pid}.partial`;
  try {
    await pipeline(Readable.from(text), createWriteStream(target));
    if (!inPlace) await rename(target, file);
  } catch (thrown) {
    if (!inPlace) await rm(target, { force: true });
    throw (thrown as NodeJS.ErrnoException).syscall === undefined ? thrown : asFileError(file, thrown);
  }
}

/** A file, or nothing yet. */
function isPlainFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() !== false;
}

/** A file system's error as ours. */
function asFileError(file: string, thrown: unknown): HoldfastError {
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new HoldfastError("STORE_FULL", { file, what: "the disk" }, { cause: thrown });
  return new HoldfastError("STORE_FAILED", { file, problem: message }, { cause: thrown });
}
