/**
 * Parameter files: a sweep whose points are the rows of a CSV or JSON lines file.
 *
 * Defining one touches no disk. At submit the file is read once: its form is checked, its rows are
 * counted and its content is hashed, so that a worker that reads it later notices a change.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";

const PARAMETER_FILE = Symbol.for("holdfast.parameter-file");

export interface ParameterFile {
  readonly [PARAMETER_FILE]: true;
  /** Absolute. */
  readonly path: string;
  readonly format: "csv" | "jsonl";
}

/**
 * The rows of a CSV file with a head line. Columns become fields; what looks like a number is one.
 *
 * @example sweep(simulate, { over: csvFile("parameters.csv") })
 */
export function csvFile(file: string | URL): ParameterFile {
  return { [PARAMETER_FILE]: true, path: toPath(file), format: "csv" };
}

/**
 * The lines of a JSON lines file, one point per line.
 *
 * @example sweep(simulate, { over: jsonlFile(new URL("./parameters.jsonl", import.meta.url)) })
 */
export function jsonlFile(file: string | URL): ParameterFile {
  return { [PARAMETER_FILE]: true, path: toPath(file), format: "jsonl" };
}

export function isParameterFile(value: object): value is ParameterFile {
  return PARAMETER_FILE in value;
}

function toPath(file: string | URL): string {
  return typeof file === "string" ? path.resolve(file) : fileURLToPath(file);
}
