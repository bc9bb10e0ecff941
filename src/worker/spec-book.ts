import type { LeaseSpec } from "../broker/contract.ts";
import type { FunctionHandler, JobHandler } from "../core/handler.ts";
import type { AttemptSpec } from "./attempt.ts";

/** Specs a worker remembers; the least recently used is forgotten first. */
const MAX_SPECS = 256;

/**
 * What leases share arrives with every claim, under keys that hold for one reply. Here equal specs
 * become one, with what has been learnt about their attempts, so that runners need each only once.
 */
export class SpecBook {
  readonly #byContent = new Map<string, AttemptSpec>();
  readonly #jobsModule: string | undefined;
  #lastNumber = 0;

  /** `jobsModule`: file URL of the module whose tasks run jobs of their name. */
  constructor(jobsModule?: string) {
    this.#jobsModule = jobsModule;
  }

  /** The specs of one reply, under its keys. */
  admit(specs: Readonly<Record<string, LeaseSpec>>): ReadonlyMap<string, AttemptSpec> {
    const admitted = new Map<string, AttemptSpec>();
    for (const [key, spec] of Object.entries(specs)) admitted.set(key, this.#intern(spec));
    return admitted;
  }

  #intern(spec: LeaseSpec): AttemptSpec {
    const content = contentOf(spec);
    const known = this.#byContent.get(content) ?? this.#add(spec);
    // Put last, so that the first in the map is the one that was not used for longest.
    this.#byContent.delete(content);
    this.#byContent.set(content, known);
    if (this.#byContent.size > MAX_SPECS) {
      const [oldest] = this.#byContent.keys();
      if (oldest !== undefined) this.#byContent.delete(oldest);
    }
    return known;
  }

  #add(spec: LeaseSpec): AttemptSpec {
    this.#lastNumber += 1;
    const handler = this.#jobsModule === undefined ? spec.handler : jobAsFunction(spec.handler, this.#jobsModule);
    return { ...spec, handler, number: this.#lastNumber, averageMs: undefined };
  }
}

/** A job becomes a call of the task that is named like its type; any other handler stays as it is. */
function jobAsFunction(text: string, module: string): string {
  const handler = JSON.parse(text) as JobHandler | FunctionHandler;
  if (handler.kind !== "job") return text;
  return JSON.stringify({ kind: "function", module, task: handler.type } satisfies FunctionHandler);
}

function contentOf({ name, handler, source, results, timeoutMs, memoryLimitMb }: LeaseSpec): string {
  return [name, handler, source, results, timeoutMs, memoryLimitMb].map((part) => part ?? "").join("\0");
}
