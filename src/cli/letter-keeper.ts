/** Where a command looks after dead letters: at a server over its API, or in the store itself. */
import type { ChosenLetters, DEAD_LETTER_OPERATIONS, LetterView } from "../api/operations/dead-letters.ts";
import type { HttpLink } from "../broker/http/http-link.ts";
import type { Broker } from "../broker/contract.ts";
import { HoldfastError } from "../errors/index.ts";
import {
  findLetter,
  handleLetters,
  letterIdOf,
  type LetterName,
  listLetters,
  type ListLettersParams,
  TaskNames,
  viewOf,
} from "../server/letters.ts";
import type { OpenedBroker } from "./with-broker.ts";

export type Verb = "replay" | "discard";

export interface ShownLetter extends LetterView {
  /** JSON text. */
  readonly input?: string;
}

export interface Handled {
  readonly changed: number;
  readonly letters: number;
  readonly problems: readonly { readonly executionId: string; readonly code: string; readonly error: string }[];
  readonly next?: string;
}

export interface LetterKeeper {
  list(params: ListLettersParams): Promise<{ readonly letters: readonly LetterView[]; readonly next?: string }>;
  /** Errors: DEAD_LETTER_NOT_FOUND. */
  show(name: LetterName): Promise<ShownLetter>;
  handle(verb: Verb, chosen: ChosenLetters): Promise<Handled>;
}

export async function letterKeeper({ link, store }: OpenedBroker): Promise<LetterKeeper> {
  if (link !== undefined) {
    // Loaded by those who use it: schemas take a while.
    const { DEAD_LETTER_OPERATIONS: operations } = await import("../api/operations/dead-letters.ts");
    return keeperAt(link, operations);
  }
  if (store !== undefined) return keeperOf(store);
  throw new HoldfastError("INTERNAL", { problem: "neither a store nor a server was opened" });
}

function keeperOf(store: Broker): LetterKeeper {
  return {
    list: (params) => listLetters(store, params),
    show: async (name) => {
      const found = await findLetter(store, name);
      const names = new TaskNames(store);
      await names.learn([found]);
      return { ...viewOf(found, names), ...(found.input === undefined ? {} : { input: found.input }) };
    },
    handle: (verb, chosen) =>
      handleLetters(store, chosen, (params) => (verb === "replay" ? store.retry(params) : store.discard(params))),
  };
}

function keeperAt(link: HttpLink, operations: typeof DEAD_LETTER_OPERATIONS): LetterKeeper {
  const { listDeadLetters, getDeadLetter, replayDeadLetters, discardDeadLetters } = operations;
  return {
    list: ({ limit, after, since, ...query }) =>
      link.call(listDeadLetters, {
        query: {
          ...query,
          limit: String(limit),
          ...(after === undefined ? {} : { cursor: after }),
          ...(since === undefined ? {} : { since: String(Math.round(since)) }),
        },
      }),
    show: async (name) => {
      const { input, ...letter } = await link.call(getDeadLetter, { params: { letterId: letterIdOf(name) } });
      return { ...letter, ...(input === undefined ? {} : { input: JSON.stringify(input) }) };
    },
    handle: (verb, { query, ...chosen }) => {
      const { since, ...rest } = query ?? {};
      const body = {
        ...chosen,
        ...(query === undefined
          ? {}
          : { query: { ...rest, ...(since === undefined ? {} : { since: String(Math.round(since)) }) } }),
      };
      return link.call(verb === "replay" ? replayDeadLetters : discardDeadLetters, { body });
    },
  };
}
