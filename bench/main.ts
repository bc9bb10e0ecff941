/**
 * `npm run bench`: how fast Holdfast is on this machine.
 *
 *   npm run bench [-- --measure NAME … --rounds N --json FILE]
 *   npm run bench -- --peers [--aof SETTING,… --system NAME … --measure NAME … --rounds N --tasks N --json FILE]
 *
 * The second form compares with other queues on a Redis server that it starts itself (peers/index.ts).
 * Progress goes to stderr, the table to stdout. Files lie on the disk of the system's folder for
 * temporary files, and every commit is durable, as in production.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { BenchContext, Measure, Row, Sample } from "./measure.ts";
import { MEASURES } from "./measures/index.ts";
import { comparePeers, type PeerFlags, type PeerReport } from "./peers/index.ts";
import { PEER_MEASURES } from "./peers/turn.ts";
import { tableOf } from "./report.ts";
import { spreadOf } from "./statistics.ts";

interface Options {
  readonly measures: readonly Measure[];
  /** Absent: as many as each measure finds enough. */
  readonly rounds: number | undefined;
  readonly jsonFile: string | undefined;
  /** Set: compare with other queues instead. */
  readonly peers: PeerFlags | undefined;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) return;
  const folders: string[] = [];
  const context: BenchContext = {
    folder: () => {
      const folder = mkdtempSync(path.join(os.tmpdir(), "holdfast-bench-"));
      folders.push(folder);
      return folder;
    },
    progress: (text) => process.stderr.write(`${text}\n`),
  };
  try {
    const { rows, redisVersion } =
      options.peers === undefined ? await runMeasures(options, context) : await comparePeers(options.peers, context);
    const machine = redisVersion === undefined ? machineLine() : `${machineLine()}, Redis ${redisVersion}`;
    process.stdout.write(`${machine}\n\n${tableOf(rows)}\n`);
    if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, `${JSON.stringify(rows, null, 2)}\n`);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

async function runMeasures(options: Options, context: BenchContext): Promise<Partial<PeerReport> & { rows: Row[] }> {
  const rows: Row[] = [];
  for (const measure of options.measures) rows.push(...(await runMeasure(measure, options, context)));
  return { rows };
}

async function runMeasure(measure: Measure, options: Options, context: BenchContext): Promise<Row[]> {
  const rounds = options.rounds ?? measure.rounds;
  const series = new Map<string, Sample[]>();
  for (let round = 1; round <= rounds; round += 1) {
    context.progress(`${measure.name}: round ${round} of ${rounds}`);
    for (const sample of await measure.round(context)) {
      const key = JSON.stringify([sample.system, sample.setting, sample.unit]);
      series.set(key, [...(series.get(key) ?? []), sample]);
    }
  }
  return [...series.values()].flatMap((samples) => {
    const [first] = samples;
    if (first === undefined) return [];
    const { system, setting, unit } = first;
    const spread = spreadOf(samples.map(({ value }) => value));
    return [{ measure: measure.name, system, setting, unit, ...spread, rounds: samples.length }];
  });
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      json: { type: "string" },
      measure: { type: "string", multiple: true },
      rounds: { type: "string" },
      peers: { type: "boolean" },
      aof: { type: "string" },
      system: { type: "string", multiple: true },
      tasks: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) {
    process.stdout.write(help());
    return undefined;
  }
  const rounds = wholeNumber("--rounds", values.rounds);
  const jsonFile = values.json;
  if (values.peers === true) {
    const tasks = wholeNumber("--tasks", values.tasks);
    const peers = { aof: values.aof, systems: values.system, measures: values.measure, rounds, tasks };
    return { measures: [], rounds, jsonFile, peers };
  }
  const unknown = values.measure?.find((name) => !MEASURES.some((measure) => measure.name === name));
  if (unknown !== undefined)
    throw new Error(`There is no measure ${unknown}; there are ${MEASURES.map(({ name }) => name).join(", ")}.`);
  const measures = MEASURES.filter(({ name }) => values.measure?.includes(name) ?? true);
  return { measures, rounds, jsonFile, peers: undefined };
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(Number.isInteger(value) && value > 0)) throw new Error(`${flag} takes a whole number above 0.`);
  return value;
}

function help(): string {
  const list = MEASURES.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join("\n");
  return [
    `npm run bench [-- --measure NAME … --rounds N --json FILE]\n\n${list}\n`,
    "npm run bench -- --peers [--aof SETTING,… --system NAME … --measure NAME … --rounds N --tasks N --json FILE]\n",
    `  compares with other queues on Redis: ${PEER_MEASURES.join(", ")}\n`,
  ].join("\n");
}

function machineLine(): string {
  const [processor] = os.cpus();
  const memoryGib = Math.round(os.totalmem() / 2 ** 30);
  return `${os.availableParallelism()} × ${processor?.model.trim() ?? "unknown processor"}, ${memoryGib} GiB, ${os.type()} ${os.release()}, Node ${process.versions.node}, SQLite ${process.versions["sqlite"] ?? "?"}`;
}

// An end by exit lets servers that the bench started end with it.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

try {
  await main();
} catch (thrown) {
  process.stderr.write(`bench: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`);
  process.exitCode = 1;
}
