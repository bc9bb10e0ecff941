import { siblingModule } from "../../src/util/sibling-module.ts";
import { Child } from "../child.ts";
import { type Store, withStore } from "../fleet.ts";
import type { BenchContext, Measure, Sample } from "../measure.ts";
import type { LargeReply, LargeRequest } from "../processes/large-workflow.ts";

export const NODES = 100_000;

export const largeWorkflow: Measure = {
  name: "workflow-large",
  about:
    "A workflow of 100,000 nodes that do nothing, three parents each: submitted, edited, run; and the memory it takes.",
  rounds: 3,
  round: async (context) => [...(await run(context, "redis")), ...(await run(context, "sqlite"))],
};

/** The submitting process is one of its own, so that its memory is its own. */
async function run(context: BenchContext, store: Store): Promise<Sample[]> {
  return withStore(context, store, async ({ place, startWorkers, serverMb }) => {
    const submitter = new Child(siblingModule(import.meta.url, "../processes/large-workflow"));
    try {
      const ask = (request: LargeRequest): Promise<LargeReply> => submitter.ask<LargeReply>(request);
      const submitted = await ask({ kind: "submit", place, nodes: NODES });
      const edited = await ask({ kind: "edit" });
      await startWorkers(1);
      const ran = await ask({ kind: "run" });
      const system = `holdfast, ${store}`;
      return [
        { system, setting: "defined, validated, submitted", unit: "ms", value: submitted.ms },
        { system, setting: "its live graph read", unit: "ms", value: edited.graphMs ?? Number.NaN },
        { system, setting: "an edit of 22 nodes previewed", unit: "ms", value: edited.previewMs ?? Number.NaN },
        { system, setting: "the edit applied", unit: "ms", value: edited.ms },
        { system, setting: "run", unit: "nodes/s", value: ((NODES + 19) * 1_000) / ran.ms },
        { system, setting: "submitting process", unit: "MB", value: ran.peakMb },
        {
          system,
          setting: store === "redis" ? "Redis" : "process that owns the file",
          unit: "MB",
          value: await serverMb(),
        },
      ];
    } finally {
      await submitter.end();
    }
  });
}
