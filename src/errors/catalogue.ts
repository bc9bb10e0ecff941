/**
 * Every error a person or a program can meet, by stable code.
 *
 * `message` is a template: `{name}` is filled from the error's details. It says what is wrong and,
 * where there is one, the next step. `docs/errors.md` lists the same codes; a test keeps both equal.
 */
export interface ErrorEntry {
  readonly httpStatus: number;
  readonly exitCode: number;
  /** The same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  readonly message: string;
}

/** Happens again until somebody changes something. */
function lasting(httpStatus: number, exitCode: number, message: string): ErrorEntry {
  return { httpStatus, exitCode, retryable: false, message };
}

/** May go away by itself. */
function passing(httpStatus: number, exitCode: number, message: string): ErrorEntry {
  return { httpStatus, exitCode, retryable: true, message };
}

export const ERROR_CATALOGUE = {
  // What a person typed
  UNKNOWN_OPTION: lasting(400, 2, "Unknown option {option}.{suggestion}"),
  INVALID_OPTION: lasting(400, 2, "{option} is {value}; expected {expected}."),
  UNKNOWN_COMMAND: lasting(400, 2, "Unknown command {command}.{suggestion}"),
  INVALID_SETTING: lasting(400, 2, "Setting {setting} is {value}; expected {expected}."),
  INVALID_SETTINGS: lasting(400, 2, "{count} settings are wrong:{problems}"),
  UNKNOWN_SETTING: lasting(400, 2, "There is no setting {setting}.{suggestion}"),
  INVALID_SETTINGS_FILE: lasting(400, 2, "{file} cannot be read as settings: {problem}"),
  INVALID_BROKER_URL: lasting(
    400,
    2,
    "{url} is no broker address; expected a folder, sqlite:FILE, http://HOST:PORT of a server (or https, ws, wss; several with commas), redis://HOST[:PORT][/DB], redis+sentinel://HOST,HOST/MASTER or redis+cluster://HOST,HOST (rediss… for TLS).",
  ),
  // What a person submitted
  INVALID_INPUT: lasting(422, 2, "{path}: {problem}"),
  INVALID_SPACE: lasting(422, 2, "Parameter space at {path}: {problem}"),
  INVALID_PARAMETER_FILE: lasting(422, 2, "{file}, row {row}: {problem}"),
  PARAMETER_FILE_UNUSABLE: lasting(422, 2, "{file} cannot be used as a parameter file: {problem}"),
  PARAMETER_FILE_CHANGED: lasting(
    409,
    1,
    "{file} has changed since the sweep was submitted; restore it or submit again.",
  ),
  MODULE_NOT_LOADED: lasting(422, 2, "{module} could not be loaded: {problem}"),
  TASK_NOT_FOUND: lasting(404, 1, "{module} exports no task named {task}; it exports {exported}."),
  NOTHING_TO_RUN: lasting(
    422,
    2,
    "{module} has no default export to run; end it with `export default sweep(task, {{ over: … }})`.",
  ),
  INVALID_WORKFLOW: lasting(422, 2, "Workflow {workflow}: {problems}"),
  INVALID_FILE: lasting(422, 2, "{file} is no workflow: {problem}"),
  CONDITION_FAILED: lasting(422, 1, "The condition of node {node} could not be judged: {problem}"),
  NODE_FAILED: lasting(422, 1, "Node {node}: {problem}"),
  APPROVAL_REFUSED: lasting(409, 1, "Node {node} was not approved{by}{comment}."),
  SIGNAL_TIMED_OUT: lasting(504, 1, "Node {node} has waited {timeoutMs} ms for signal {signal}, which did not come."),
  COMMAND_FAILED: lasting(500, 1, "{command} {how}."),
  PAYLOAD_TOO_LARGE: lasting(413, 2, "{what} is {bytes} bytes; the limit is {limit}."),
  BATCH_TOO_LARGE: lasting(413, 2, "{what} has {count} entries; the limit is {limit}."),
  INVALID_REQUEST: lasting(400, 1, "{method}: {path}: {problem}"),
  KEY_CONFLICT: lasting(409, 1, "Submit key {key} was used before for something else."),
  QUEUE_FULL: passing(429, 1, "Pool {pool} already holds {depth} waiting tasks (limit {limit}); try again later."),
  TOO_BIG_INTEGER: lasting(
    422,
    2,
    "{path}: the whole number {value} cannot be kept exactly; send it as a text, or stay within ±9007199254740991.",
  ),
  // What is not there or not in that state
  EXECUTION_NOT_FOUND: lasting(404, 1, "There is no execution {execution}."),
  EXECUTION_AMBIGUOUS: lasting(409, 1, "{execution} stands for several executions: {candidates}."),
  TASK_UNKNOWN: lasting(404, 1, "Execution {execution} has no task {task}."),
  EXECUTION_ENDED: lasting(409, 1, "Execution {execution} is already {state}."),
  EXECUTION_SEALED: lasting(409, 1, "Execution {execution} takes no more tasks."),
  EXECUTION_FAILED: lasting(
    500,
    1,
    "Execution {execution} {state}: {completed} of {total} completed, {failed} failed. First failure: {failure}",
  ),
  EDIT_CONFLICT: lasting(
    409,
    1,
    "The edit of execution {execution} would now do something else than its preview said; look at a new preview.",
  ),
  INPUTS_NOT_KEPT: lasting(
    409,
    1,
    "Execution {execution} does not keep the inputs of its tasks; submit it with keepInputs to run parts of it again.",
  ),
  DEAD_LETTER_NOT_FOUND: lasting(404, 1, "There is no dead letter {letter}."),
  POOL_NOT_FOUND: lasting(404, 1, "There is no pool {pool}."),
  WORKER_NOT_FOUND: lasting(404, 1, "There is no live worker {worker}; register it first."),
  CLAIM_SUPERSEDED: lasting(
    409,
    1,
    "A later claim of worker {worker} has ended this one; a worker asks with one claim at a time.",
  ),
  ROUTE_NOT_FOUND: lasting(404, 1, "There is nothing at {method} {path}; see /api/v1/openapi.json."),
  METHOD_NOT_ALLOWED: lasting(405, 1, "{path} takes {allowed}, not {method}."),
  UNSUPPORTED_MEDIA_TYPE: lasting(415, 1, "The body is {found}; expected {expected}."),
  HEADERS_TOO_LARGE: lasting(431, 1, "The request's head is larger than {limit} bytes."),
  EXECUTION_CANCELLED: lasting(409, 1, "Execution {execution} was cancelled."),
  // Leases and sessions
  LEASE_LOST: lasting(409, 1, "The lease of task {task} in {execution} has passed on; this outcome does not count."),
  SESSION_LOST: lasting(410, 1, "Session {session} is unknown or was declared dead; open a new one."),
  // Shared state
  LOCK_LOST: lasting(409, 1, "Lock {lock} is not (any more) held by this owner."),
  LOCK_NOT_HELD: lasting(404, 1, "Nobody holds lock {lock}."),
  LOCK_TAKEN: passing(409, 1, "Lock {lock} was not free within {waitedMs} ms."),
  LINE_FULL: passing(429, 1, "{limit} owners stand in line for lock {lock} already; try again later."),
  VALUE_NOT_FOUND: lasting(404, 1, "There is no value {key}."),
  VERSION_CONFLICT: lasting(409, 1, "Value {key} has version {found}, not {expected}; read it again and decide anew."),
  CHECKPOINT_NOT_FOUND: lasting(404, 1, "There is no such checkpoint of {scope}."),
  CHECKPOINT_FENCED: lasting(
    409,
    1,
    "A later attempt has saved checkpoints of {scope}; this one ({fence}, the latest is {latest}) no longer counts.",
  ),
  NAME_RESERVED: lasting(403, 1, "{path}: names that begin with {prefix} belong to Holdfast itself."),
  // Access
  TOKEN_REFUSED: lasting(401, 3, "Not let in: {problem}"),
  FORBIDDEN: lasting(403, 3, "Not allowed: {problem}"),
  RATE_LIMITED: passing(429, 3, "Too many requests{reason}; try again in {retryAfterMs} ms."),
  TOKEN_NOT_FOUND: lasting(404, 1, "There is no token {token}."),
  BODY_TIMEOUT: passing(408, 1, "The request did not arrive whole within {timeoutMs} ms."),
  // The store
  BROKER_OWNED: passing(409, 3, "{file} is in use by another process{owner}; connect to that one, or end it first."),
  BROKER_CLOSED: passing(503, 3, "The broker is closed."),
  BROKER_UNREACHABLE: passing(503, 3, "{url} cannot be reached: {problem}"),
  BROKER_TIMEOUT: passing(504, 3, "{method} got no answer from {url} within {timeoutMs} ms."),
  UNAUTHORIZED: lasting(
    401,
    3,
    "{url} does not let this program in; check HOLDFAST_TOKEN, or for a Redis REDIS_USERNAME and REDIS_PASSWORD.",
  ),
  PROTOCOL_MISMATCH: lasting(
    426,
    3,
    "{url} speaks version {theirs} of the wire protocol and this program version {ours}; run the same Holdfast on both sides.",
  ),
  LISTEN_FAILED: passing(500, 3, "{address} cannot be listened on: {problem}"),
  STORE_FULL: passing(
    507,
    3,
    "{file}: {what} is full; nothing of this call was stored. Free some space and try again.",
  ),
  STORE_UNFIT: lasting(500, 3, "{url} is not fit to hold work: {problem}"),
  SHARDS_DIFFER: lasting(
    409,
    3,
    "{url} is divided into {found} shards, and this program is set to {wanted}; set `shards` to {found}, or use another namespace.",
  ),
  STORE_TOO_NEW: lasting(
    500,
    3,
    "{file} was written by a newer Holdfast (format {found}, this one knows {known}); upgrade this program.",
  ),
  STORE_CORRUPT: lasting(500, 3, "{file} is no Holdfast database or is damaged: {problem}"),
  STORE_FAILED: passing(500, 3, "{file}: {problem}"),
  // Workers and runners
  RUNNER_EXITED: lasting(500, 1, "The task's process ended by itself ({how})."),
  RUNNER_START_FAILED: passing(500, 1, "The runner could not be started: {problem}"),
  TASK_TIMEOUT: lasting(504, 1, "The task ran longer than its timeout of {timeoutMs} ms and was stopped."),
  TASK_OUT_OF_MEMORY: lasting(500, 1, "The task used more memory than its limit of {limitMb} MB and was stopped."),
  WORKER_FAILED: lasting(500, 1, "Worker {worker} ended: {how}."),
  // The rest
  NOT_BUILT: lasting(500, 3, "Holdfast is not built; run npm run build first."),
  RUNTIME_TOO_OLD: lasting(500, 3, "Holdfast needs Node {needed} or newer; this is {found}."),
  INTERNAL: lasting(500, 70, "Unexpected: {problem}. Please report this."),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;
