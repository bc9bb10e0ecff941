/** A broker whose calls a test sees, and may hold up. */
import type { Broker, BrokerMethod } from "../../src/broker/contract.ts";

type Watch = (method: BrokerMethod, perform: () => Promise<unknown>) => Promise<unknown>;

/** As `broker`, but every call goes through `watch`, which performs it. */
export function watchedBroker(broker: Broker, watch: Watch): Broker {
  return new Proxy(broker, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== "function") return found;
      return (...args: unknown[]): unknown =>
        watch(name as BrokerMethod, () => Reflect.apply(found, target, args) as Promise<unknown>);
    },
  });
}
