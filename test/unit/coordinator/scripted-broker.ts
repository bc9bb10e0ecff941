/** A broker of which a test scripts the calls that its subject makes; any other call fails the test. */
import type { Broker } from "../../../src/broker/contract.ts";

export function scriptedBroker(calls: Partial<Broker>): Broker {
  return new Proxy(calls, {
    get: (target, name) =>
      Reflect.get(target, name) ?? (() => Promise.reject(new Error(`The script has no answer for ${String(name)}.`))),
  }) as Broker;
}
