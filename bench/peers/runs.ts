/**
 * The three runs that a system goes through. Each begins on an empty server, and each ends with the
 * check that every task ran exactly once and has exactly one result: a wrong answer has no speed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { siblingModule } from "../../src/util/sibling-module.ts";
import { Child } from "../child.ts";
import { nowMs, timedMs } from "../measure.ts";
import type { Peer, Producer } from "./peer.ts";
import { assertEachOnce, PAYLOAD_BYTES, payloadOf } from "./peer.ts";
import type { ConsumerReport, ConsumerRequest } from "./processes/consumer.ts";
import type { RedisServer } from "./redis-server.ts";

export interface Run {
  readonly server: RedisServer;
  readonly peer: Peer;
  readonly concurrency: number;
  readonly tasks: number;
}

export const TASKS_PER_CALL = 500;
export const CALLS_IN_FLIGHT = 4;
const LATENCY_WARM_UP = 20;
/** Between two tasks of the latency run, so that the consumer is idle again; varied, so that it beats with no timer. */
const IDLE_MS = [3, 4, 5, 3.5, 4.5];

export interface CycleFigures {
  readonly addedPerSecond: number;
  readonly processedPerSecond: number;
  readonly processorUsPerTask: number;
  /** The payload itself is not counted. */
  readonly bytesPerWaitingTask: number;
  readonly bytesPerFinishedTask: number;
}

/** Adds all tasks, then has them processed. */
export function runCycle(run: Run): Promise<CycleFigures> {
  return withProducer(run, async (producer) => {
    const { server, tasks } = run;
    const emptyBytes = await server.dataBytes();
    const addMs = await timedMs(() => addAll(producer, tasks));
    const waitingBytes = await server.dataBytes();
    const { processMs, processorUs } = await withConsumer(run, async (consumer) => {
      const processorBeforeUs = await server.processorUs();
      const startedAtMs = nowMs();
      await consumer.ask({ kind: "start" });
      const { doneAtMs, processorAfterUs } = await finish({ run, producer, consumer });
      return { processMs: doneAtMs - startedAtMs, processorUs: processorAfterUs - processorBeforeUs };
    });
    const finishedBytes = await server.dataBytes();
    return {
      addedPerSecond: perSecond(tasks, addMs),
      processedPerSecond: perSecond(tasks, processMs),
      processorUsPerTask: processorUs / tasks,
      bytesPerWaitingTask: (waitingBytes - emptyBytes) / tasks - PAYLOAD_BYTES,
      bytesPerFinishedTask: (finishedBytes - emptyBytes) / tasks,
    };
  });
}

export interface EndToEndFigures {
  readonly tasksPerSecond: number;
  readonly processorUsPerTask: number;
}

/** Adds all tasks while a consumer that was idle before processes them. */
export function runEndToEnd(run: Run): Promise<EndToEndFigures> {
  return withProducer(run, (producer) =>
    withConsumer(run, async (consumer) => {
      const { server, tasks } = run;
      await consumer.ask({ kind: "start" });
      const processorBeforeUs = await server.processorUs();
      const startedAtMs = nowMs();
      await addAll(producer, tasks);
      const { doneAtMs, processorAfterUs } = await finish({ run, producer, consumer });
      return {
        tasksPerSecond: perSecond(tasks, doneAtMs - startedAtMs),
        processorUsPerTask: (processorAfterUs - processorBeforeUs) / tasks,
      };
    }),
  );
}

/** Adds one task at a time to an idle system; answers the milliseconds from before each call to the start of its handler. */
export function runLatency(run: Run): Promise<number[]> {
  return withProducer(run, (producer) =>
    withConsumer(run, async (consumer) => {
      await consumer.ask({ kind: "start" });
      const addedAtMs: number[] = [];
      const count = LATENCY_WARM_UP + run.tasks;
      for (let task = 0; task < count; task += 1) {
        const done = consumer.ask({ kind: "wait", count: task + 1 });
        await delay(IDLE_MS[task % IDLE_MS.length] ?? 0);
        addedAtMs.push(nowMs());
        await producer.add([payloadOf(task)]);
        await done;
      }
      const { startedAtMs } = await finish({ run: { ...run, tasks: count }, producer, consumer });
      return startedAtMs.map((at, task) => at - (addedAtMs[task] ?? Number.NaN)).slice(LATENCY_WARM_UP);
    }),
  );
}

interface Ending {
  readonly run: Run;
  readonly producer: Producer;
  readonly consumer: ConsumerProcess;
}

/** Waits for the last result, reads the server's processor time at once, and then checks. */
async function finish({
  run,
  producer,
  consumer,
}: Ending): Promise<ConsumerReport & { readonly processorAfterUs: number }> {
  const { server, peer, tasks } = run;
  await consumer.ask({ kind: "wait", count: tasks });
  const processorAfterUs = await server.processorUs();
  const report = await consumer.ask<ConsumerReport>({ kind: "report" });
  assertEachOnce(report.tasks, tasks, `runs of ${peer.system}`);
  assertEachOnce(await producer.readResults(), tasks, `results of ${peer.system}`);
  return { ...report, processorAfterUs };
}

async function addAll(producer: Producer, tasks: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < tasks) {
      const first = next;
      next = Math.min(first + TASKS_PER_CALL, tasks);
      await producer.add(Array.from({ length: next - first }, (_, index) => payloadOf(first + index)));
    }
  };
  await Promise.all(Array.from({ length: CALLS_IN_FLIGHT }, lane));
}

async function withProducer<Result>(
  { server, peer }: Run,
  action: (producer: Producer) => Promise<Result>,
): Promise<Result> {
  await server.empty();
  const producer = await peer.produce(server);
  try {
    return await action(producer);
  } finally {
    await producer.close();
  }
}

class ConsumerProcess extends Child {
  override ask<Reply>(request: ConsumerRequest): Promise<Reply> {
    return super.ask(request);
  }
}

async function withConsumer<Result>(
  { server, peer, concurrency }: Run,
  action: (consumer: ConsumerProcess) => Promise<Result>,
): Promise<Result> {
  const consumer = new ConsumerProcess(siblingModule(import.meta.url, "./processes/consumer"));
  const { host, port } = server;
  try {
    await consumer.ask({ kind: "prepare", system: peer.system, place: { host, port }, options: { concurrency } });
    return await action(consumer);
  } finally {
    await consumer.end();
  }
}

function perSecond(tasks: number, wallMs: number): number {
  return tasks / (wallMs / 1_000);
}
