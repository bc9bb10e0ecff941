/**
 * The demo's data: the Palmer penguins, measured 2007–2009 on three Antarctic islands, from the
 * data set package. Rows with a missing value are dropped, which leaves 333 birds.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parse } from "csv-parse/sync";
import { HoldfastError } from "../../errors/index.ts";

const DATA_FILE = "@observablehq/sample-datasets/penguins.csv";

/** The measurements, in the order of their columns in `features`. */
export const MEASUREMENTS = ["culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g"] as const;

export interface PenguinData {
  readonly birds: number;
  readonly measurements: number;
  /** Row after row: measurement m of bird b is at `b * measurements + m`. */
  readonly features: Float64Array;
  /** Index into `classes`, one per bird. */
  readonly labels: Uint8Array;
  /** What there is to tell apart: species and sex together, sorted. */
  readonly classes: readonly string[];
}

let loaded: PenguinData | undefined;

/** Reads the data set once per process. Errors: STORE_FAILED when its package is not installed. */
export function loadPenguins(): PenguinData {
  loaded ??= parsePenguins(readDataFile());
  return loaded;
}

/** Makes the data from the text of the CSV file. */
export function parsePenguins(text: string): PenguinData {
  const rows: Record<string, string>[] = parse(text, { columns: true, skip_empty_lines: true, trim: true });
  const birds = rows.filter(isComplete);
  const classes = [...new Set(birds.map(className))].sort();
  const features = new Float64Array(birds.length * MEASUREMENTS.length);
  const labels = new Uint8Array(birds.length);
  birds.forEach((row, bird) => {
    MEASUREMENTS.forEach((column, m) => {
      features[bird * MEASUREMENTS.length + m] = Number(row[column]);
    });
    labels[bird] = classes.indexOf(className(row));
  });
  return { birds: birds.length, measurements: MEASUREMENTS.length, features, labels, classes };
}

function isComplete(row: Record<string, string>): boolean {
  const measured = MEASUREMENTS.every((column) => row[column] !== "" && Number.isFinite(Number(row[column])));
  return measured && (row["sex"] === "MALE" || row["sex"] === "FEMALE");
}

function className(row: Record<string, string>): string {
  return `${row["species"] ?? ""} ${(row["sex"] ?? "").toLowerCase()}`;
}

function readDataFile(): string {
  try {
    return readFileSync(createRequire(import.meta.url).resolve(DATA_FILE), "utf8");
  } catch (cause) {
    throw new HoldfastError(
      "STORE_FAILED",
      { file: DATA_FILE, problem: "the demo's data set is not installed; run npm install" },
      { cause },
    );
  }
}
