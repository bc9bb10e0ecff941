/** A broker on a file whose owner can be replaced while others hold on to it. */
import { type Broker, BROKER_METHODS, type BrokerMethod } from "../../src/broker/contract.ts";

export class ReopenedBroker {
  readonly facade: Broker;
  #current: Broker;
  readonly #open: () => Broker;

  constructor(open: () => Broker) {
    this.#open = open;
    this.#current = open();
    const methods = Object.fromEntries(
      BROKER_METHODS.map((method) => [
        method,
        (params: unknown) => (this.#current[method] as (given: unknown) => Promise<unknown>)(params),
      ]),
    ) as unknown as Pick<Broker, BrokerMethod>;
    this.facade = { ...methods, features: this.#current.features, close: () => this.#current.close() };
  }

  /** The owner ends, another one opens the file. */
  async reopen(): Promise<void> {
    await this.#current.close();
    this.#current = this.#open();
  }
}
