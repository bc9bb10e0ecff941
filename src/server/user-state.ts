/**
 * Shared state as those who use the API see it: what belongs to Holdfast itself is refused by name and
 * left out of lists, and what is wrong with a call is told with the field of the request.
 */
import type { Broker } from "../broker/contract.ts";
import type { StateMethod } from "../broker/check-state.ts";
import { hideReservedNames, refuseReservedNames } from "../broker/reserved-names.ts";
import { asRequest } from "./request-input.ts";

type ParamsOf<M extends StateMethod> = Parameters<Broker[M]>[0];
type ReplyOf<M extends StateMethod> = Awaited<ReturnType<Broker[M]>>;

/** Performs one call for a user. */
export type UserState = <M extends StateMethod>(method: M, params: ParamsOf<M>) => Promise<ReplyOf<M>>;

export function userState(broker: Broker): UserState {
  const perform: UserState = async (method, params) => {
    refuseReservedNames(method, params);
    const verb = broker[method].bind(broker) as (params: unknown) => Promise<never>;
    return hideReservedNames(method, await verb(params));
  };
  return (method, params) => asRequest(perform(method, params), fieldOf);
}

/** Where the params of the contract lie in a request; all others in its body. */
const PLACES: Readonly<Record<string, string>> = {
  key: "params.key",
  lock: "params.lock",
  scope: "params.scope",
  version: "params.version",
  prefix: "query.prefix",
  limit: "query.limit",
  after: "query.cursor",
};

/** `value`, or `writeValue: value` as the contract's schemas say it. */
function fieldOf(path: string): string {
  const name = path.slice(path.lastIndexOf(" ") + 1);
  return PLACES[name] ?? `body.${name}`;
}
