/**
 * Passes a runner's calls for shared state on to the broker, and answers them.
 *
 * What user code says is checked like anything from outside: only the calls of shared state, only
 * params of the contract, no names that belong to the servers. The desk remembers which locks an
 * attempt has asked for and gives them back when the attempt has ended or its process is gone, so that
 * nobody waits for the dead. If this process dies, their time to live runs out.
 */
import { hideReservedNames, refuseReservedNames } from "../broker/reserved-names.ts";
import { parseParams } from "../broker/schemas.ts";
import { HoldfastError } from "../errors/index.ts";
import { STATE_METHODS, type StateBroker, type StateMethod } from "../sdk/shared-state.ts";
import type { AnswerCommand, CallReport } from "./runner-wire.ts";

interface StateDeskOptions {
  readonly broker: StateBroker;
  readonly answer: (command: AnswerCommand) => void;
}

type Call = (params: unknown) => Promise<unknown>;

interface AskedLock {
  readonly attempt: number;
  readonly lock: string;
  readonly owner: string;
}

export class StateDesk {
  readonly #options: StateDeskOptions;
  /** By owner: an owner is one acquisition. */
  readonly #locks = new Map<string, AskedLock>();
  #closed = false;

  constructor(options: StateDeskOptions) {
    this.#options = options;
  }

  /** Never rejects: whatever goes wrong is the answer. */
  async call(report: CallReport): Promise<void> {
    const { call, method, id: attempt } = report;
    try {
      const result = await this.#perform(attempt, method, report.params);
      this.#answer({ type: "answer", call, result });
    } catch (thrown) {
      this.#answer({ type: "answer", call, error: HoldfastError.from(thrown).toWire() });
    }
  }

  /** Locks that it did not release go back. */
  attemptEnded(attempt: number): void {
    for (const asked of this.#locks.values()) if (asked.attempt === attempt) this.#giveBack(asked);
  }

  /** The process is gone. */
  close(): void {
    this.#closed = true;
    for (const asked of this.#locks.values()) this.#giveBack(asked);
  }

  async #perform(attempt: number, method: string, given: unknown): Promise<unknown> {
    if (!isStateMethod(method)) {
      throw new HoldfastError("INVALID_REQUEST", {
        method: method.slice(0, 64),
        path: "method",
        problem: "is no call of shared state",
      });
    }
    const params = parseParams(method, given);
    refuseReservedNames(method, params);
    if (method !== "acquireLock") {
      if (method === "releaseLock") this.#locks.delete((params as AskedLock).owner);
      return hideReservedNames(method, await (this.#options.broker[method] as Call)(params));
    }
    const asked: AskedLock = { attempt, ...(params as Pick<AskedLock, "lock" | "owner">) };
    this.#locks.set(asked.owner, asked);
    const reply = await this.#options.broker.acquireLock(parseParams("acquireLock", given));
    // Its attempt has ended meanwhile: what was given back then may have been granted only now.
    if (this.#closed || !this.#locks.has(asked.owner)) this.#giveBack(asked);
    return reply;
  }

  #giveBack({ lock, owner }: AskedLock): void {
    this.#locks.delete(owner);
    // A broker that cannot be told lets the time to live run out.
    this.#options.broker.releaseLock({ lock, owner }).catch(() => undefined);
  }

  #answer(command: AnswerCommand): void {
    if (!this.#closed) this.#options.answer(command);
  }
}

function isStateMethod(method: string): method is StateMethod {
  return (STATE_METHODS as readonly string[]).includes(method);
}
