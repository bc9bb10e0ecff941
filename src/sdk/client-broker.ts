/** What the client needs of a broker: calls that submit, steer and look, and shared state. No calls of workers. */
import type { Broker } from "../broker/contract.ts";
import type { StateMethod } from "./shared-state.ts";

export type ClientMethod =
  | "submit"
  | "extend"
  | "pause"
  | "resume"
  | "cancel"
  | "signal"
  | "retry"
  | "rerun"
  | "editExecution"
  | "getExecution"
  | "listExecutions"
  | "listDeadLetters"
  | "listTasks"
  | "readResults"
  | "readEvents"
  | StateMethod
  | "close";

export type ClientBroker = Pick<Broker, ClientMethod>;
