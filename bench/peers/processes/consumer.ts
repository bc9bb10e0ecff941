/**
 * The consumer of one run, in a process of its own: connects, waits for the word, takes tasks, and
 * keeps for each how often it ran and when it began.
 */
import { serveRequests } from "../../child.ts";
import { nowMs } from "../../measure.ts";
import type { Consumer, ConsumerOptions, RedisPlace, SystemName } from "../peer.ts";
import { taskOf } from "../peer.ts";
import { peerNamed } from "../systems.ts";

export type ConsumerRequest =
  /** Answered when the consumer could begin at once. */
  | {
      readonly kind: "prepare";
      readonly system: SystemName;
      readonly place: RedisPlace;
      readonly options: ConsumerOptions;
    }
  /** Takes tasks from now on. */
  | { readonly kind: "start" }
  /** Answered when this many results are acknowledged. */
  | { readonly kind: "wait"; readonly count: number }
  /** Answers a ConsumerReport. */
  | { readonly kind: "report" };

export interface ConsumerReport {
  /** One entry per run of a handler, in order. */
  readonly tasks: readonly number[];
  /** When each of these runs began, on the machine's monotonic clock. */
  readonly startedAtMs: readonly number[];
  /** When the last result was acknowledged. */
  readonly doneAtMs: number;
}

const tasks: number[] = [];
const startedAtMs: number[] = [];
let consumer: Consumer | undefined;
let acknowledged = 0;
let doneAtMs = 0;
let awaited: { readonly count: number; readonly resolve: () => void } | undefined;

function handler(payload: string): null {
  startedAtMs.push(nowMs());
  tasks.push(taskOf(payload));
  return null;
}

function completed(count: number): void {
  acknowledged += count;
  doneAtMs = nowMs();
  if (awaited !== undefined && acknowledged >= awaited.count) awaited.resolve();
}

serveRequests(
  async (request: ConsumerRequest): Promise<ConsumerReport | undefined> => {
    switch (request.kind) {
      case "prepare":
        consumer = await peerNamed(request.system).consume(request.place, request.options);
        return undefined;
      case "start":
        consumer?.start(handler, completed);
        return undefined;
      case "wait": {
        const { count } = request;
        if (acknowledged < count) await new Promise<void>((resolve) => (awaited = { count, resolve }));
        return undefined;
      }
      case "report":
        return { tasks, startedAtMs, doneAtMs };
    }
  },
  async () => {
    await consumer?.stop();
  },
);
