/**
 * Group commit: calls that arrive while the disk is busy share the next transaction.
 *
 * A call is queued as an operation; the next turn of the event loop runs all queued operations in
 * one transaction and answers them after the commit. So durability costs one sync per batch, and
 * batches form by themselves: alone, a call is stored at once; under load, many share.
 *
 * A crash before the commit loses the whole batch, none of which was acknowledged. When the
 * transaction fails (a full disk, an error in one operation), memory is rebuilt from the file and
 * every operation is tried again in a transaction of its own, so that one cannot spoil the others.
 */
import { HoldfastError } from "../../errors/index.ts";

/** Operations of one transaction at most; the rest waits for the next, so that answers keep flowing. */
const MAX_OPERATIONS = 512;

export interface Operation<T> {
  /** Must be on the disk before the answer (submits, commits); claims need not. */
  readonly durable: boolean;
  /** Changes memory and file together. Throws a HoldfastError before it has changed anything, or any error at all. */
  run(): T;
}

interface Queued {
  readonly operation: Operation<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: HoldfastError) => void;
}

interface Answer {
  readonly queued: Queued;
  readonly value?: unknown;
  readonly refusal?: HoldfastError;
}

export interface CommitStore {
  transaction(durable: boolean, action: () => void): void;
  /** Called inside the transaction, after the operations: serve waiters, write what changed. */
  finish(): void;
  /** Called after a commit: tell those who wait outside. */
  committed(): void;
  /** Forgets memory and reads it from the file again. */
  rebuild(): void;
}

export class GroupCommit {
  readonly #store: CommitStore;
  #queue: Queued[] = [];
  #scheduled = false;
  #closed = false;

  constructor(store: CommitStore) {
    this.#store = store;
  }

  submit<T>(operation: Operation<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new HoldfastError("BROKER_CLOSED"));
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ operation, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Commits what is queued; later operations are refused. */
  close(): void {
    while (this.#queue.length > 0) this.#flush();
    this.#closed = true;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #flush(): void {
    if (this.#queue.length === 0) return;
    const batch = this.#queue.splice(0, MAX_OPERATIONS);
    try {
      this.#commit(batch);
    } catch {
      this.#store.rebuild();
      for (const queued of batch) this.#commitAlone(queued);
    }
  }

  #commitAlone(queued: Queued): void {
    try {
      this.#commit([queued]);
    } catch (error) {
      this.#store.rebuild();
      queued.reject(HoldfastError.from(error));
    }
  }

  #commit(batch: readonly Queued[]): void {
    const answers: Answer[] = [];
    this.#store.transaction(
      batch.some((queued) => queued.operation.durable),
      () => {
        for (const queued of batch) answers.push(attempt(queued));
        this.#store.finish();
      },
    );
    this.#store.committed();
    for (const { queued, value, refusal } of answers) {
      if (refusal === undefined) queued.resolve(value);
      else queued.reject(refusal);
    }
  }
}

/** A HoldfastError is an orderly refusal that changed nothing; anything else breaks the transaction. */
function attempt(queued: Queued): Answer {
  try {
    return { queued, value: queued.operation.run() };
  } catch (error) {
    if (error instanceof HoldfastError && !error.code.startsWith("STORE_")) return { queued, refusal: error };
    throw error;
  }
}
