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
  /** Reads the live graph; then adds 20 nodes below others, takes one away and moves one to the front. */
  | { readonly kind: "edit" }
  | { readonly kind: "run" };

export interface LargeReply {
  /** Of an edit: of applying it. */
  readonly ms: number;
  readonly graphMs?: number;
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
    if (request.kind === "edit") return edit();
    const startedAt = nowMs();
    if (request.kind === "submit") await submit(request.place, request.nodes);
    else await execution().wait();
    return { ms: nowMs() - startedAt, peakMb: peakMb("self") };
  },
  async () => {
    await opened?.broker.close();
  },
);

async function submit(place: Place | RedisPlace, nodes: number): Promise<void> {
  const broker = await connect(place);
  const client = new Client({ broker });
  opened = { broker, client, execution: await client.submit(largeWorkflow(nodes)) };
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
      for (let parent = 0; parent < Math.min(PARENTS, node); parent += 1) {
        const handle = handles[node - 1 - random(Math.min(node, REACH))];
        if (handle !== undefined) after.add(handle);
      }
      handles.push(w.task(`node-${node}`, nothing, { after: [...after], estimate: 1 + random(100) }));
    }
  });
}

async function edit(): Promise<LargeReply> {
  const startedAt = nowMs();
  const graph = await execution().graph();
  const readAt = nowMs();
  const edit = await graph.edit((e) => {
    for (let node = 0; node < ADDED; node += 1)
      e.task(`added-${node}`, nothing, { after: [e.node(`node-${node * 1_000}`)] });
    e.remove("node-99999");
    e.prioritise("node-50000", 9);
  });
  const previewedAt = nowMs();
  await edit.apply();
  return {
    graphMs: readAt - startedAt,
    previewMs: previewedAt - readAt,
    ms: nowMs() - previewedAt,
    peakMb: peakMb("self"),
  };
}

function execution(): Execution {
  if (opened === undefined) throw new Error("nothing was submitted");
  return opened.execution;
}
