/**
 * The demo from banner to verdict: a real sweep on real worker processes, a real kill, and the
 * proof.
 *
 * Its store lies in a folder of its own under the system's temporary folder, and it removes nothing
 * but that folder.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { CliContext } from "../context.ts";
import { bannerLines, checkLines, configurationLines } from "./demo-lines.ts";
import type { DemoMonitor, DemoPlan } from "./demo-plan.ts";
import type { DemoReport } from "./demo-report.ts";
import { loadPenguins } from "./penguins.ts";
import { runQueueDemo } from "./queue-demo.ts";
import { runStaticDemo } from "./static-demo.ts";
import { packageVersion } from "../version.ts";

export interface DemoParams {
  readonly plan: DemoPlan;
  readonly context: CliContext;
  readonly monitor: DemoMonitor;
  readonly keepFolder: boolean;
}

const FOLDER_PREFIX = "holdfast-demo-";

export async function runDemo(params: DemoParams): Promise<DemoReport> {
  const { plan, context } = params;
  const { out } = context;
  out.print(...bannerLines(out, packageVersion()));
  const { birds, classes } = loadPenguins();
  out.print(...configurationLines(out, plan, birds), "");
  out.print(
    ...checkLines(
      out,
      `Prerequisites met: Node ${process.versions.node}, ${birds} penguins in ${classes.length} classes`,
    ),
  );
  if (plan.mode === "static") {
    out.print(...checkLines(out, "Environment ready: no broker, nothing is stored"));
    return runStaticDemo(plan, context);
  }
  const folder = await mkdtemp(path.join(tmpdir(), FOLDER_PREFIX));
  try {
    return await runQueueDemo({ ...params, folder });
  } finally {
    out.settle();
    if (params.keepFolder)
      out.print("", `Kept: ${folder}`, out.theme.faint(`Look inside with: holdfast status --broker ${folder}`));
    else await rm(folder, { recursive: true, force: true });
    if (context.interrupts.signal.aborted) out.print("Stopped.");
  }
}
