/**
 * One shard: a link to the server that holds it, its scripts, and the rule for calls that are
 * answered badly or not at all.
 *
 * - The link is down, or breaks while a call is under way: the call is made again when the link is up
 *   (promise 7: repeats are harmless), for as long as `patienceMs`. A call whose repeat would not be
 *   harmless (a claim: its leases would be granted and never heard of) is told so instead.
 * - The server is busy with a script of somebody else: again after a pause.
 * - The server refuses to write (memory is full and the call brings new work; the disk is broken; replicas
 *   are missing): an error that its caller may retry; nothing was changed, because a transition is refused
 *   before its first write.
 */
import { HoldfastError } from "../../errors/index.ts";
import { type Clock, sleep } from "../../util/clock.ts";
import { type Link, LinkBroken, RedisRefusal, type Reply } from "./link/link.ts";
import { loadTransitions, type ScriptName, type Transitions } from "./scripts.ts";

export interface ShardOptions {
  readonly no: number;
  readonly link: Link;
  readonly namespace: string;
  /** For messages. */
  readonly url: string;
  readonly patienceMs: number;
  /** The real one. */
  readonly clock: Clock;
  readonly random: () => number;
  /** The broker's time in place of the server's, milliseconds since 1970. */
  readonly time: (() => number) | undefined;
}

/** An argument; numbers are whole. */
export type ScriptArgument = string | number;

/** The answer may have been lost with the connection, and what was asked may have been done. */
export class AnswerLost extends Error {
  override readonly name = "AnswerLost";
}

const BUSY_PAUSE_MS = 50;

export class Shard {
  readonly no: number;
  readonly link: Link;
  /** Of all its keys. */
  readonly prefix: string;
  readonly #options: ShardOptions;
  readonly #transitions = new Map<boolean, Transitions>();
  /** The server has functions, but this user may not load them. */
  #mayNotLoad = false;

  constructor(options: ShardOptions) {
    this.#options = options;
    this.no = options.no;
    this.link = options.link;
    this.prefix = keyPrefix(options.namespace, options.no);
  }

  /**
   * Runs a transition; the reply without its leading `ok`, or with the code of the refusal as its
   * first part.
   *
   * Errors: BROKER_UNREACHABLE, BROKER_CLOSED, STORE_FULL, STORE_FAILED, INTERNAL; AnswerLost only
   * with `once`. Arguments given as a function are made anew for every try.
   */
  async run(
    name: ScriptName,
    args: readonly ScriptArgument[] | (() => readonly ScriptArgument[]),
    how: { readonly once?: boolean } = {},
  ): Promise<Reply[]> {
    const { time, random } = this.#options;
    const call = (): Promise<Reply> => {
      const given = typeof args === "function" ? args() : args;
      const all = [time === undefined ? "" : String(time()), String(random())].concat(given as string[]);
      return this.#call(name, asTexts(all));
    };
    return (await this.#persist(call, how.once === true)) as Reply[];
  }

  /** One command that may be repeated. Errors as for `run`. */
  send(...args: readonly string[]): Promise<Reply> {
    return this.#persist(() => this.link.send(args), false);
  }

  /** A hash as an object. */
  async hash(key: string): Promise<Readonly<Record<string, string>>> {
    return pairs(await this.send("HGETALL", this.prefix + key));
  }

  /** By function where the server has them and lets us, else by script. */
  async #call(name: ScriptName, args: readonly string[]): Promise<Reply> {
    const { hasXackdel, hasFunctions } = this.link.server;
    let transitions = this.#transitions.get(hasXackdel);
    if (transitions === undefined) {
      transitions = loadTransitions({ hasXackdel });
      this.#transitions.set(hasXackdel, transitions);
    }
    const { script, functionName } = transitions.byName[name];
    const keys = [`${this.prefix}meta`];
    if (!hasFunctions || this.#mayNotLoad) return this.link.run(script, keys, args);
    try {
      return await this.link.call(transitions.library, functionName, { keys, args });
    } catch (thrown) {
      if (!(thrown instanceof RedisRefusal && thrown.code === "NOPERM")) throw thrown;
      this.#mayNotLoad = true;
      return this.link.run(script, keys, args);
    }
  }

  async #persist(call: () => Promise<Reply>, once: boolean): Promise<Reply> {
    const { clock, patienceMs } = this.#options;
    const givesUpAt = clock.now() + patienceMs;
    for (;;) {
      try {
        return await call();
      } catch (thrown) {
        if (thrown instanceof LinkBroken) {
          if (once && thrown.sent) throw new AnswerLost(thrown.message);
          await this.link.ready(Math.max(0, givesUpAt - clock.now()));
        } else if (thrown instanceof RedisRefusal && thrown.code === "BUSY" && clock.now() < givesUpAt) {
          await sleep(clock, BUSY_PAUSE_MS);
        } else {
          throw this.#refused(thrown);
        }
      }
    }
  }

  #refused(thrown: unknown): unknown {
    if (!(thrown instanceof RedisRefusal)) return thrown;
    const { url } = this.#options;
    const details = { file: url, problem: thrown.text };
    switch (thrown.code) {
      case "OOM":
        return new HoldfastError("STORE_FULL", { file: url, what: "its memory" }, { cause: thrown });
      case "MISCONF":
      case "NOREPLICAS":
      case "BUSY":
        return new HoldfastError("STORE_FAILED", details, { cause: thrown });
      case "NOPERM":
      case "NOAUTH":
        return new HoldfastError("UNAUTHORIZED", { url }, { cause: thrown });
      default:
        return new HoldfastError("INTERNAL", { problem: thrown.text }, { cause: thrown });
    }
  }
}

/** Those whose server is there now; all of them when none is: then there is nothing but to wait. */
export function reachable(shards: readonly Shard[]): readonly Shard[] {
  const there = shards.filter(({ link }) => link.isUp);
  return there.length > 0 ? there : shards;
}

/** What all keys of a shard begin with: the hash tag keeps them together in a cluster. */
export function keyPrefix(namespace: string, shard: number): string {
  return `{${hashTag(namespace, shard)}}:`;
}

export function hashTag(namespace: string, shard: number): string {
  return `${namespace}:${shard}`;
}

/** A flat list of names and values as an object. */
export function pairs(reply: Reply | undefined): Readonly<Record<string, string>> {
  const list = reply as readonly string[];
  const found: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 0; at < list.length; at += 2) found[list[at] as string] = list[at + 1] as string;
  return found;
}

function asTexts(args: ScriptArgument[]): string[] {
  for (let at = 0; at < args.length; at += 1) if (typeof args[at] === "number") args[at] = String(args[at]);
  return args as string[];
}
