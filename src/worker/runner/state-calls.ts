/** The runner's side of calls for shared state: sent to the supervisor, settled when it answers. */
import { HoldfastError } from "../../errors/index.ts";
import { STATE_METHODS, type StateBroker, type StateOrigin } from "../../sdk/shared-state.ts";
import { type Clock, systemClock } from "../../util/clock.ts";
import { lifeName } from "../../util/life-names.ts";
import type { AnswerCommand, CallReport } from "../runner-wire.ts";

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: HoldfastError) => void;
}

export class StateCalls {
  readonly #tell: (report: CallReport) => void;
  readonly #clock: Clock = systemClock();
  readonly #pending = new Map<number, Pending>();
  #calls = 0;

  constructor(tell: (report: CallReport) => void) {
    this.#tell = tell;
  }

  /** Shared state as one attempt uses it. */
  of(attempt: number): StateOrigin {
    const broker = Object.fromEntries(
      STATE_METHODS.map((method) => [method, (params: unknown) => this.#call({ attempt, method, params })]),
    ) as unknown as StateBroker;
    return { broker, clock: this.#clock, newId: lifeName };
  }

  settle({ call, result, error }: AnswerCommand): void {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    if (error === undefined) pending?.resolve(result);
    else pending?.reject(HoldfastError.fromWire(error));
  }

  #call(asked: { readonly attempt: number; readonly method: string; readonly params: unknown }): Promise<unknown> {
    this.#calls += 1;
    const call = this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(call, { resolve, reject });
    this.#tell({ type: "call", call, id: asked.attempt, method: asked.method, params: asked.params });
    return promise;
  }
}
