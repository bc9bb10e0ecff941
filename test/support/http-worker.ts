/** A worker over HTTP, played by a test with single calls. */
import type { Answer, HttpWorld } from "./http-server.ts";

export interface HttpTask {
  readonly lease: string;
  readonly executionId: string;
  readonly task: number;
  readonly attempt: number;
  readonly name: string;
  readonly handler: unknown;
  readonly type?: string;
  readonly input?: unknown;
  readonly parents?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly start?: number;
  readonly end?: number;
  readonly inputs?: readonly unknown[];
  readonly source?: unknown;
  readonly careful?: boolean;
  readonly problem?: string;
}

export interface Claimed {
  readonly tasks: readonly HttpTask[];
  readonly cancel: readonly string[];
  readonly drain: boolean;
}

export class HttpWorker {
  readonly world: HttpWorld;
  readonly id: string;
  readonly #path: string;

  private constructor(world: HttpWorld, id: string) {
    this.world = world;
    this.id = id;
    this.#path = `/workers/${encodeURIComponent(id)}`;
  }

  /** Registers for pool `default`, with one slot, unless told otherwise. */
  static async join(world: HttpWorld, id = "w1", changes: Readonly<Record<string, unknown>> = {}): Promise<HttpWorker> {
    const worker = new HttpWorker(world, id);
    await world.expect(200, "POST /workers/register", worker.registration(changes));
    return worker;
  }

  /** The same worker, seen by another server. */
  at(world: HttpWorld): HttpWorker {
    return new HttpWorker(world, this.id);
  }

  registration(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    return {
      workerId: this.id,
      hostname: "h",
      capabilities: ["cpu"],
      maxConcurrency: 1,
      pools: ["default"],
      ...changes,
    };
  }

  call(what: string, body?: unknown, init?: RequestInit): Promise<Answer> {
    return this.world.call(`POST ${this.#path}/${what}`, body, init);
  }

  expect<T = Record<string, unknown>>(status: number, what: string, body?: unknown): Promise<T> {
    return this.world.expect<T>(status, `POST ${this.#path}/${what}`, body);
  }

  /** `holding`: what it knows of; nothing by default. */
  claim(
    request: { readonly max?: number; readonly wait?: string; readonly holding?: readonly string[] } = {},
  ): Promise<Claimed> {
    return this.expect<Claimed>(200, "claim", { holding: [], ...request });
  }

  async take(): Promise<HttpTask> {
    const { tasks } = await this.claim({ wait: "10s" });
    if (tasks.length !== 1) throw new Error(`expected one task, got ${tasks.length}`);
    return tasks[0] as HttpTask;
  }

  async leave(): Promise<void> {
    await this.world.expect(200, `DELETE ${this.#path}`);
  }
}
