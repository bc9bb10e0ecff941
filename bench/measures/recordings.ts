import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import type { RecordingReport } from "../../src/cli/recording/recording-report.ts";
import { readWfFormat, wfFormatFacts } from "../../src/sdk/workflow/wf-format.ts";
import type { BenchContext, Measure, Sample } from "../measure.ts";
import { RedisServer } from "../peers/redis-server.ts";

/** Another folder than that of our own small instances. */
const FOLDER = process.env["BENCH_RECORDINGS"] ?? "test/fixtures/wf-format";
/** About as long as a run should take. */
const LENGTH_MS = Number(process.env["BENCH_RECORDING_MS"] ?? 20_000);
const SLOTS = 8;

const run = promisify(execFile);

export const recordings: Measure = {
  name: "workflow-recordings",
  about:
    "Recorded workflows (WfFormat) on eight slots: makespan by the critical path and first in, first out, against the lower bound.",
  rounds: 1,
  round: async (context) => {
    const server = await RedisServer.start("everysec", context.folder());
    const samples: Sample[] = [];
    try {
      for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".json"))) {
        context.progress(file);
        const places = { sqlite: path.join(context.folder(), "store"), redis: `redis://${server.host}:${server.port}` };
        for (const [store, broker] of Object.entries(places)) {
          for (const order of ["critical-path", "fifo"])
            samples.push(await replay(context, { file: path.join(FOLDER, file), store, broker, order }));
        }
      }
    } finally {
      await server.stop();
    }
    return samples;
  },
};

async function replay(
  context: BenchContext,
  {
    file,
    store,
    broker,
    order,
  }: { readonly file: string; readonly store: string; readonly broker: string; readonly order: string },
): Promise<Sample> {
  const instance = readWfFormat(JSON.parse(readFileSync(file, "utf8")), file);
  const timeScale = LENGTH_MS / wfFormatFacts(instance, { timeScale: 1, slots: SLOTS }).lowerBoundMs;
  const json = path.join(context.folder(), "report.json");
  const flags = ["--time-scale", timeScale, "--slots", SLOTS, "--order", order, "--broker", broker, "--json", json];
  await run(process.execPath, ["bin/holdfast.js", "run", file, ...flags.map(String)]);
  const report = JSON.parse(readFileSync(json, "utf8")) as RecordingReport;
  if (report.completed !== report.nodes || report.duplicateCommits + report.orderViolations > 0)
    throw new Error(`${file} did not run as it should`);
  return {
    system: `holdfast, ${store}, ${order === "fifo" ? "first in, first out" : "critical path"}`,
    setting: path.basename(file, ".json"),
    unit: "× lower bound",
    value: report.ratio,
  };
}
