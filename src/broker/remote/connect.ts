/**
 * The remote broker: the contract, spoken to a host in another process or on another machine.
 *
 * It adds to the client (client.ts) what makes every call repeatable: a submission without a key
 * gets a random one, so that sending it again cannot submit it twice, and so do a write, a save and
 * an edit without a name; a commit that is too large for one frame goes in several.
 */
import type { Failure } from "../../core/failure.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import type { Clock } from "../../util/clock.ts";
import {
  type Awakening,
  type Broker,
  BROKER_METHODS,
  type BrokerMethod,
  type CapturedOutput,
  type CommitParams,
  type CommitReply,
  type Outcome,
  type SubmitParams,
} from "../contract.ts";
import { RemoteClient } from "./client.ts";
import type { Whereabouts } from "./client-connection.ts";

export type { Whereabouts } from "./client-connection.ts";
export type { BrokerAddress } from "./client-link.ts";

export interface ConnectRemoteOptions {
  /** Where the host is; asked before every attempt. */
  readonly url: Whereabouts;
  /** Where a process has nothing else to do than wait for the broker, one whose timers keep it alive. */
  readonly clock: Clock;
  /** 0 ≤ x < 1, different in every process: it makes the names that must be unique. */
  readonly random: () => number;
  readonly logger?: Logger;
  /** A call without an answer fails after this long, beyond its own wait, with BROKER_TIMEOUT. */
  readonly requestTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /** First and longest pause between attempts to connect. */
  readonly reconnect?: { readonly baseMs: number; readonly maxMs: number };
  /** A call that found no connection for this long fails with BROKER_UNREACHABLE. Infinity: never. */
  readonly giveUpAfterMs?: number;
}

const DEFAULTS = {
  requestTimeoutMs: 30_000,
  connectTimeoutMs: 5_000,
  // A session dies of a few seconds' silence: of these a client must not sleep through too many when its host is back.
  reconnect: { baseMs: 20, maxMs: 500 },
  giveUpAfterMs: 30_000,
  logger: silentLogger,
};

/**
 * Connects to a broker that `serveBroker` offers. The broker it returns stays usable through lost
 * connections and restarts of the host.
 *
 * Errors: BROKER_UNREACHABLE after `giveUpAfterMs`; at once UNAUTHORIZED, PROTOCOL_MISMATCH,
 * INVALID_BROKER_URL, and what is not retryable from `url`.
 */
export async function connectRemoteBroker(options: ConnectRemoteOptions): Promise<Broker> {
  const client = new RemoteClient({ ...DEFAULTS, ...options, name: uniqueName(options.random) });
  try {
    const { durable } = await client.connect();
    return remoteBroker({ client, durable, random: options.random });
  } catch (thrown) {
    await client.close();
    throw thrown;
  }
}

function remoteBroker(parts: {
  readonly client: RemoteClient;
  readonly durable: boolean;
  readonly random: () => number;
}): Broker {
  const { client, durable, random } = parts;
  const methods = Object.fromEntries(
    BROKER_METHODS.map((method) => [method, (params: never) => client.call(method, params)]),
  ) as unknown as Pick<Broker, BrokerMethod>;
  return {
    ...methods,
    // The host's process runs the coordinator's duties.
    features: { name: "remote", durable, needsCoordinator: false },
    submit: (params) => submitWithKeys(client, params, random),
    // Where the caller names no write, the call does: it may be sent twice.
    writeValue: (params) => client.call("writeValue", { writeId: `auto-${uniqueName(random)}`, ...params }),
    saveCheckpoint: (params) => client.call("saveCheckpoint", { saveId: `auto-${uniqueName(random)}`, ...params }),
    editExecution: (params) => client.call("editExecution", { editId: `auto-${uniqueName(random)}`, ...params }),
    commit: (params) => commitInParts(client, params),
    close: () => client.close(),
  };
}

async function submitWithKeys(
  client: RemoteClient,
  params: SubmitParams,
  random: () => number,
): ReturnType<Broker["submit"]> {
  const submissions = params.submissions.map((submission) =>
    submission.key === undefined ? { ...submission, key: `auto-${uniqueName(random)}` } : submission,
  );
  const { executions } = await client.call("submit", { submissions });
  return {
    // Under a key that nobody else has, an execution that is known already is this call's own.
    executions: executions.map((receipt, index) =>
      params.submissions[index]?.key === undefined ? { ...receipt, created: true } : receipt,
    ),
  };
}

async function commitInParts(client: RemoteClient, params: CommitParams): Promise<CommitReply> {
  const { outcomes, claim, ...others } = params;
  const parts = inParts(outcomes, client.maxRequestBytes);
  const last = parts.pop();
  if (last === undefined || parts.length === 0) return client.call("commit", params);
  const verdicts: CommitReply["verdicts"][number][] = [];
  for (const part of parts) verdicts.push(...(await client.call("commit", { ...others, outcomes: part })).verdicts);
  const reply = await client.call("commit", { ...others, outcomes: last, ...(claim === undefined ? {} : { claim }) });
  return { ...reply, verdicts: [...verdicts, ...reply.verdicts] };
}

/** A JSON text within a JSON text may double, and a code unit has up to three bytes. */
const BYTES_PER_UNIT = 6;
/** What an outcome weighs besides its texts, UTF-16 code units: ids, names, numbers. */
const OUTCOME_FRAME = 2_000;

/** Outcomes in as few parts as surely fit; an outcome that is too large by itself is left to be refused. */
function inParts(outcomes: readonly Outcome[], maxBytes: number): Outcome[][] {
  const parts: Outcome[][] = [];
  let room = 0;
  for (const outcome of outcomes) {
    const bytes = sizeOf(outcome) * BYTES_PER_UNIT;
    if (bytes > room) {
      parts.push([]);
      room = maxBytes;
    }
    parts.at(-1)?.push(outcome);
    room -= bytes;
  }
  return parts;
}

function sizeOf(outcome: Outcome): number {
  switch (outcome.kind) {
    case "completed":
      return OUTCOME_FRAME + outcome.result.length + outputSize(outcome.output);
    case "chunk": {
      let size =
        OUTCOME_FRAME + (outcome.values?.length ?? 0) + (outcome.partial?.length ?? 0) + outputSize(outcome.output);
      for (const { failure } of outcome.failures) size += failureSize(failure);
      return size;
    }
    case "failed":
      return OUTCOME_FRAME + failureSize(outcome.failure) + outputSize(outcome.output);
    case "skipped":
      return OUTCOME_FRAME + outputSize(outcome.output);
    case "suspended":
      return OUTCOME_FRAME + outcome.state.length + awakeningSize(outcome.until) + outputSize(outcome.output);
    case "returned":
      return OUTCOME_FRAME;
    default:
      return outcome satisfies never;
  }
}

function awakeningSize(until: Awakening): number {
  return until.kind === "tasks" ? JSON.stringify(until.groups).length : 0;
}

function failureSize({ message, stack }: Failure): number {
  return 200 + message.length + (stack?.length ?? 0);
}

function outputSize(output: CapturedOutput | undefined): number {
  return output === undefined ? 0 : output.stdout.length + output.stderr.length;
}

const UNIQUE_NAME_WORDS = 4;

/** 128 random bits, printable. */
function uniqueName(random: () => number): string {
  const words = Array.from({ length: UNIQUE_NAME_WORDS }, () => Math.floor(random() * 2 ** 32));
  return words.map((word) => word.toString(16).padStart(8, "0")).join("");
}
