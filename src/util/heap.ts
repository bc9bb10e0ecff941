/** A binary heap that gives the entry with the lowest rank first, among those with equal ranks the one with the lowest `then`. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #rank: (item: T) => number;
  readonly #then: ((item: T) => number) | undefined;

  constructor(rank: (item: T) => number, then?: (item: T) => number) {
    this.#rank = rank;
    this.#then = then;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(item, items[above] as T)) break;
      items[at] = items[above] as T;
      at = above;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length > 0) this.#sink(last as T);
    return top;
  }

  #isBefore(one: T, other: T): boolean {
    const [first, second] = [this.#rank(one), this.#rank(other)];
    if (first !== second || this.#then === undefined) return first < second;
    return this.#then(one) < this.#then(other);
  }

  #sink(item: T): void {
    const items = this.#items;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && this.#isBefore(items[below + 1] as T, items[below] as T)) below += 1;
      if (!this.#isBefore(items[below] as T, item)) break;
      items[at] = items[below] as T;
      at = below;
    }
    items[at] = item;
  }
}
