/** Calls that are under way: who ends the server waits for them, and not for connections on which nobody asks. */
import type { ServerResponse } from "node:http";

export class InFlight {
  #count = 0;
  #whenNone: (() => void) | undefined;

  add(response: ServerResponse): void {
    this.#count += 1;
    response.once("close", () => {
      this.#count -= 1;
      if (this.#count === 0) this.#whenNone?.();
    });
  }

  /** Resolves when none is left. */
  none(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenNone = resolve;
      if (this.#count === 0) resolve();
    });
  }
}
