/** What a claim gives a worker over HTTP. Payloads go through as they are. */
import type { ReplyOf } from "../../api/operation.ts";
import type { WORKER_OPERATIONS } from "../../api/operations/workers.ts";
import type { ClaimReply, Lease, LeaseSpec } from "../../broker/contract.ts";
import { MAX_REPLY_PAYLOAD } from "../../broker/limits.ts";
import { HoldfastError } from "../../errors/index.ts";
import { JsonText } from "../reply-text.ts";
import { type ArraySources, inputsText } from "./array-source.ts";
import { leaseText, MAX_SOURCE_IN_LEASE, type RangeFacts } from "./lease-text.ts";

export type ClaimedTask = ReplyOf<typeof WORKER_OPERATIONS.claimTasks>["tasks"][number];

export interface ClaimedTasks {
  readonly tasks: readonly ClaimedTask[];
  /** Leases that found no room any more; they go back. */
  readonly left: readonly Lease[];
}

/** `at`: when they were granted, on the server's clock. */
export function claimedTasks(
  { leases, specs }: Pick<ClaimReply, "leases" | "specs">,
  at: number,
  sources: ArraySources,
): ClaimedTasks {
  const tasks: ClaimedTask[] = [];
  let room = MAX_REPLY_PAYLOAD;
  for (const [place, lease] of leases.entries()) {
    if (room <= 0) return { tasks, left: leases.slice(place) };
    const spec = specs[lease.spec];
    if (spec === undefined)
      throw new HoldfastError("INTERNAL", { problem: `a lease came without its spec ${lease.spec}` });
    const range = rangeOf(lease, spec, sources);
    // What the broker sends is within its own bounds; inputs that are computed here come on top.
    room -= range?.inputs?.length ?? 0;
    tasks.push(taskOf({ lease, spec, at, range }));
  }
  return { tasks, left: [] };
}

interface RangeTask {
  readonly facts: RangeFacts;
  /** JSON text. */
  readonly inputs?: string | undefined;
  readonly problem?: string | undefined;
}

interface Granted {
  readonly lease: Lease;
  readonly spec: LeaseSpec;
  readonly at: number;
  readonly range: RangeTask | undefined;
}

function taskOf({ lease, spec, at, range }: Granted): ClaimedTask {
  const { executionId, task, attempt, start, end } = lease;
  return {
    lease: leaseText(lease, range === undefined ? { at } : { at, range: range.facts }),
    executionId,
    task,
    attempt,
    name: spec.name,
    handler: JsonText.of(spec.handler),
    type: typeOf(spec.handler),
    timeoutMs: spec.timeoutMs,
    memoryLimitMb: spec.memoryLimitMb,
    input: lease.input === undefined ? undefined : JsonText.of(lease.input),
    parents: parentsOf(lease.parents),
    start,
    end,
    inputs: range?.inputs === undefined ? undefined : (JsonText.known(range.inputs) as unknown as unknown[]),
    source: spec.source === undefined ? undefined : JsonText.of(spec.source),
    careful: lease.careful,
    problem: range?.problem,
  };
}

function rangeOf({ start, end }: Lease, spec: LeaseSpec, sources: ArraySources): RangeTask | undefined {
  if (start === undefined || end === undefined) return undefined;
  const { source = "null" } = spec;
  const { space, aggregator, aggregates, problem } = sources.read(source);
  const inputs = space === undefined ? undefined : inputsText(space, { start, end }, MAX_REPLY_PAYLOAD);
  const travels = source.length <= MAX_SOURCE_IN_LEASE;
  const canAggregate = aggregator !== undefined && space !== undefined && travels;
  const tooLong = space !== undefined && inputs === undefined;
  return {
    facts: {
      end,
      keeps: spec.results !== "discard",
      ...(aggregates ? { source: canAggregate ? source : null } : {}),
    },
    inputs,
    problem:
      problem ??
      (tooLong
        ? `The inputs of its ${end - start} items are too long for one answer; use smaller chunks.`
        : undefined) ??
      (aggregates && space === undefined
        ? "The results cannot be aggregated by the server: the source describes no space."
        : undefined) ??
      (aggregates && !travels
        ? `The results cannot be aggregated by the server: the source is longer than ${MAX_SOURCE_IN_LEASE} characters.`
        : undefined),
  };
}

/** The handler's own `type`: what most workers decide by. */
function typeOf(handler: string): string | undefined {
  try {
    const read = JSON.parse(handler) as { readonly type?: unknown } | null;
    return typeof read?.type === "string" ? read.type : undefined;
  } catch {
    return undefined;
  }
}

function parentsOf(parents: Lease["parents"]): Record<string, unknown> | undefined {
  if (parents === undefined) return undefined;
  return Object.fromEntries(Object.entries(parents).map(([task, result]) => [task, JsonText.of(result)]));
}
