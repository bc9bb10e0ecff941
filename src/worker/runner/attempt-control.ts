/** What stops an attempt from outside, and what its user code sees of that. */
export class AttemptControl {
  /** The whole attempt is to end as soon as it can. */
  isStopped = false;
  #controller: AbortController | undefined;
  #abortedWith: Error | undefined;

  /** Made when user code first asks for it: most never does. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#abortedWith !== undefined && !this.#controller.signal.aborted) this.#controller.abort(this.#abortedWith);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#abortedWith ??= reason;
    this.#controller?.abort(this.#abortedWith);
  }

  get isAborted(): boolean {
    return this.#abortedWith !== undefined;
  }

  /** The next item of a chunk gets a signal of its own, if the last one's was used up. */
  renew(): void {
    this.#abortedWith = undefined;
    this.#controller = undefined;
  }
}
