/** A call under way whose state a test may look at without waiting for it. */
export class PendingCall<T> {
  readonly promise: Promise<T>;
  #state: "waiting" | "done" | "failed" = "waiting";

  constructor(promise: Promise<T>) {
    this.promise = promise;
    promise.then(
      () => {
        this.#state = "done";
      },
      () => {
        this.#state = "failed";
      },
    );
  }

  get state(): "waiting" | "done" | "failed" {
    return this.#state;
  }
}
