/**
 * What the comparison asks of each system: one producer in the bench's own process, one consumer in
 * another, the same payloads and the same handler. How a system moves and keeps tasks is its own.
 */

export type SystemName = "holdfast" | "bullmq" | "raw";

export interface Peer {
  readonly system: SystemName;
  /** It leaves to its user how many tasks a consumer has under way. */
  readonly hasConcurrency: boolean;
  produce(place: RedisPlace): Promise<Producer>;
  consume(place: RedisPlace, options: ConsumerOptions): Promise<Consumer>;
}

/** Where the server listens. */
export interface RedisPlace {
  readonly host: string;
  readonly port: number;
}

export interface Producer {
  /** One call that adds these tasks, answered when the server has them. */
  add(payloads: readonly string[]): Promise<void>;
  /** The numbers of all tasks that have a result, once for each result kept. */
  readResults(): Promise<number[]>;
  close(): Promise<void>;
}

export interface ConsumerOptions {
  /** Tasks under way at a time, where the user decides. */
  readonly concurrency: number;
}

export interface Consumer {
  /** Takes tasks from now on. `completed` is told when the server has acknowledged results of that many tasks. */
  start(handler: Handler, completed: (tasks: number) => void): void;
  stop(): Promise<void>;
}

/** What a task does: nothing. */
export type Handler = (payload: string) => null;

/** Of each task's input as JSON text. */
export const PAYLOAD_BYTES = 100;
const NUMBER_DIGITS = 8;

/** Begins with the task's number; the quotes of JSON bring it to PAYLOAD_BYTES. */
export function payloadOf(task: number): string {
  return String(task)
    .padStart(NUMBER_DIGITS, "0")
    .padEnd(PAYLOAD_BYTES - 2, "x");
}

export function taskOf(payload: string): number {
  return Number(payload.slice(0, NUMBER_DIGITS));
}

/** Throws unless each of tasks 0…count−1 stands in `tasks` exactly once. */
export function assertEachOnce(tasks: readonly number[], count: number, what: string): void {
  const times = new Uint8Array(count);
  for (const task of tasks) {
    if (!(task >= 0 && task < count)) throw new Error(`${what}: there is no task ${task}.`);
    times[task] = (times[task] ?? 0) + 1;
  }
  const wrong = times.findIndex((seen) => seen !== 1);
  if (wrong !== -1) throw new Error(`${what}: task ${wrong} is there ${times[wrong]} times.`);
}
