/** The process that defines, submits, edits and waits for a large workflow; its memory is the submitter's. */
import type { Broker } from "../../src/broker/contract.ts";
import { Client } from "../../src/sdk/client.ts";
import type { Execution } from "../../src/sdk/execution.ts";
import { defineWorkflow } from "../../src/sdk/workflow.ts";
import type { NodeHandle } from "../../src/sdk/workflow/reference.ts";
import { peakMb, serveRequests } from "../child.ts";
import { nowMs } from "../measure.ts";
import { nothing } from "../no-op.ts";
import { connect, type Place } from "../open.ts";
import type { RedisPlace } from "../peers/peer.ts";

export type LargeRequest =
  | { readonly kind: "submit"; readonly place: Place | RedisPlace; readonly nodes: number }
  /** Adds 20 nodes below finished and unfinished ones, and moves one to the front. */
  | { readonly kind: "edit" }
  | { readonly kind: "run" };

export interface LargeReply {
  readonly ms: number;
  readonly previewMs?: number;
  readonly peakMb: number;
}

const PARENTS = 3;
/** Nodes choose their parents among this many before them: some hundred levels. */
const REACH = 1_000;
const ADDED = 20;

let opened: { readonly broker: Broker; readonly client: Client; readonly execution: Execution } | undefined;

serveRequests(
  async (request: LargeRequest): Promise<LargeReply> => {
    const startedAt = nowMs();
    if (request.kind === "submit") await submit(request.place, request.nodes);
    else if (request.kind === "run") await execution().wait();
    const previewMs = request.kind === "edit" ? await edit() : undefined;
    const ms = nowMs() - startedAt - (previewMs ?? 0);
    return { ms, ...(previewMs === undefined ? {} : { previewMs }), peakMb: peakMb("self") };
  },
  async () => {
    await opened?.broker.close();
  },
);

async function submit(place: Place | RedisPlace, nodes: number): Promise<void> {
  const broker = await connect(place);
  const client = new Client({ broker });
  opened = { broker, client, execution: (await client.submit(largeWorkflow(nodes))) as Execution };
}

function largeWorkflow(nodes: number) {
  return defineWorkflow("large", (w) => {
    const handles: NodeHandle<null>[] = [];
    // A cheap generator with a fixed seed: the same graph in every round.
    let state = 12_345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let node = 0; node < nodes; node += 1) {
      const after = new Set<NodeHandle<null>>();
      for (let parent = 0; parent < PARENTS && node > 0; parent += 1) {
        const handle = handles[node - 1 - random(Math.min(node, REACH))];
        if (handle !== undefined) after.add(handle);
      }
      handles.push(w.task(`node-${node}`, nothing, { after: [...after], estimate: 1 + random(100) }));
    }
  });
}

/** The time that the preview took; the caller measures the whole. */
async function edit(): Promise<number> {
  const startedAt = nowMs();
  const edit = await execution().edit({
    priority: 7,
    add: defineWorkflow("more", (w) => {
      for (let node = 0; node < ADDED; node += 1) w.task(`added-${node}`, nothing);
    }),
  });
  const previewMs = nowMs() - startedAt;
  await edit.apply();
  return previewMs;
}

function execution(): Execution {
  if (opened === undefined) throw new Error("nothing was submitted");
  return opened.execution;
}
