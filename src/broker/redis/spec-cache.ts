/** What all leases of a task group share, kept because it never changes: most claims need not carry it. */
import type { LeaseSpec, VerifyPlan } from "../contract.ts";

const MAX_SPECS = 2_000;

export class Cache<T> {
  readonly #entries = new Map<string, T>();

  get(key: string): T | undefined {
    const found = this.#entries.get(key);
    if (found !== undefined) {
      // The map's order is the order of use.
      this.#entries.delete(key);
      this.#entries.set(key, found);
    }
    return found;
  }

  set(key: string, value: T): void {
    this.#entries.set(key, value);
    if (this.#entries.size > MAX_SPECS) this.#entries.delete(this.#entries.keys().next().value as string);
  }
}

export class SpecCache {
  readonly specs = new Cache<LeaseSpec>();
  /** By execution; null: it is not verified. */
  readonly verifyPlans = new Cache<VerifyPlan | null>();
}
