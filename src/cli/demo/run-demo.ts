/**
 * The demo from banner to verdict: a real sweep on real worker processes, a real kill, and the
 * proof.
 */
import type { CliContext } from "../context.ts";
import { bannerLines, checkLines, configurationLines } from "./demo-lines.ts";
import type { DemoMonitor, DemoPlan } from "./demo-plan.ts";
import type { DemoReport } from "./demo-report.ts";
import { folderStore, redisStore } from "./demo-store.ts";
import { loadPenguins } from "./penguins.ts";
import { runQueueDemo } from "./queue-demo.ts";
import { runStaticDemo } from "./static-demo.ts";
import { packageVersion } from "../version.ts";

export interface DemoParams {
  readonly plan: DemoPlan;
  readonly context: CliContext;
  readonly monitor: DemoMonitor;
  /** A Redis to run on. Default: a folder of its own. */
  readonly broker?: string;
  readonly keepStore: boolean;
}

export async function runDemo(params: DemoParams): Promise<DemoReport> {
  const { plan, context } = params;
  const { out } = context;
  out.print(...bannerLines(out, packageVersion(), "a parameter sweep that does not let go"));
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
  const store = params.broker === undefined ? await folderStore() : redisStore(context, params.broker);
  try {
    return await runQueueDemo({ ...params, store });
  } finally {
    out.settle();
    if (params.keepStore) out.print("", `Kept: ${store.place}`, out.theme.faint(`Look inside with: ${store.look}`));
    else await store.remove();
    if (context.interrupts.signal.aborted) out.print("Stopped.");
  }
}
