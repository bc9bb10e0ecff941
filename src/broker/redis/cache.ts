/** What never changes and was asked once, such as what all leases of a task group share: the latest of it is kept. */

const MAX_ENTRIES = 2_000;

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
    if (this.#entries.size > MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value as string);
  }
}
