/**
 * A worker that knows nothing but the HTTP API, as docs/http-workers.md tells it: it claims, works,
 * completes, and sends again, to the next server, whatever was not answered.
 */
import { sleep, systemClock } from "../../src/util/clock.ts";
import type { Claimed, HttpTask } from "./http-worker.ts";

const CLOCK = systemClock({ keepAlive: true });
const HEARTBEAT_MS = 500;
const RETRY_MS = 50;
const CLAIM_WAIT = "2s";
/** Longer than the wait of a claim: a server that is stopped is given up after this. */
const ANSWER_WITHIN_MS = 4_000;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface HttpLoopWorkerOptions {
  readonly id: string;
  readonly pool: string;
  readonly urls: readonly string[];
  /** What it does: its value is the result. */
  readonly run: (task: HttpTask) => Promise<unknown>;
}

export class HttpLoopWorker {
  /** How often it was told that its lease has passed on. */
  lateOutcomes = 0;
  /** How often it had to begin anew. */
  registrations = 0;
  /** Calls that had to be sent again. */
  resent = 0;
  readonly #options: HttpLoopWorkerOptions;
  readonly #loops: Promise<unknown>;
  readonly #abandoned = new AbortController();
  #at = 0;
  #held: string | undefined;
  #isOver = false;

  constructor(options: HttpLoopWorkerOptions) {
    this.#options = options;
    this.#loops = this.#live().catch((thrown: unknown) => {
      if (!this.#abandoned.signal.aborted) throw thrown;
    });
  }

  /** It says nothing more, whatever it was at. */
  async abandon(): Promise<void> {
    this.#isOver = true;
    this.#abandoned.abort(new Error("abandoned"));
    await this.#loops;
  }

  /** Finishes what it has and leaves. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loops;
  }

  async #live(): Promise<void> {
    await this.#register();
    await Promise.all([this.#beat(), this.#work()]);
    await this.#send("DELETE", "");
  }

  async #register(): Promise<void> {
    const { id, pool } = this.#options;
    this.registrations += 1;
    const profile = { workerId: id, hostname: "test", capabilities: ["cpu"], maxConcurrency: 1, pools: [pool] };
    await this.#send("POST", "register", profile);
  }

  async #beat(): Promise<void> {
    while (!this.#isOver) {
      await this.#send("POST", "heartbeat", { currentLoad: this.#held === undefined ? 0 : 1 });
      await sleep(CLOCK, HEARTBEAT_MS);
    }
  }

  async #work(): Promise<void> {
    while (!this.#isOver) {
      const { status, body } = await this.#send("POST", "claim", { wait: CLAIM_WAIT, holding: [] });
      if (status === 404) await this.#register();
      if (status !== 200) continue;
      for (const task of (body as Claimed).tasks) {
        this.#held = task.lease;
        const result = await this.#options.run(task);
        const done = await this.#send("POST", "complete", { lease: task.lease, result });
        if (done.status === 409) this.lateOutcomes += 1;
        this.#held = undefined;
      }
    }
  }

  /** Every call may be sent again, so it is until it is answered. */
  async #send(method: string, what: string, body?: unknown): Promise<Answer> {
    const { urls, id } = this.#options;
    const path = what === "register" ? "register" : `${encodeURIComponent(id)}${what === "" ? "" : `/${what}`}`;
    for (;;) {
      this.#abandoned.signal.throwIfAborted();
      const url = urls[this.#at % urls.length] as string;
      try {
        const response = await fetch(`${url}/api/v1/workers/${path}`, {
          method,
          signal: AbortSignal.any([AbortSignal.timeout(ANSWER_WITHIN_MS), this.#abandoned.signal]),
          ...(body === undefined
            ? {}
            : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
        });
        const answer: Answer = { status: response.status, body: await response.json() };
        if (response.status < 500) return answer;
      } catch {
        // It is sent again.
      }
      this.resent += 1;
      this.#at += 1;
      await sleep(CLOCK, RETRY_MS);
    }
  }
}
