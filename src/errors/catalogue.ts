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

function entry(httpStatus: number, exitCode: number, retryable: boolean, message: string): ErrorEntry {
  return { httpStatus, exitCode, retryable, message };
}

export const ERROR_CATALOGUE = {
  // What a person typed
  UNKNOWN_OPTION: entry(400, 2, false, "Unknown option {option}.{suggestion}"),
  INVALID_OPTION: entry(400, 2, false, "{option} is {value}; expected {expected}."),
  UNKNOWN_COMMAND: entry(400, 2, false, "Unknown command {command}.{suggestion}"),
  INVALID_SETTING: entry(400, 2, false, "Setting {setting} is {value}; expected {expected}."),
  INVALID_SETTINGS: entry(400, 2, false, "{count} settings are wrong:{problems}"),
  UNKNOWN_SETTING: entry(400, 2, false, "There is no setting {setting}.{suggestion}"),
  INVALID_SETTINGS_FILE: entry(400, 2, false, "{file} cannot be read as settings: {problem}"),
  INVALID_BROKER_URL: entry(400, 2, false, "{url} is no broker address; expected a folder, ws://…, wss://… or sqlite:FILE."),
  // What a person submitted
  INVALID_INPUT: entry(422, 2, false, "{path}: {problem}"),
  INVALID_SPACE: entry(422, 2, false, "Parameter space at {path}: {problem}"),
  INVALID_PARAMETER_FILE: entry(422, 2, false, "{file}, row {row}: {problem}"),
  PARAMETER_FILE_UNUSABLE: entry(422, 2, false, "{file} cannot be used as a parameter file: {problem}"),
  PARAMETER_FILE_CHANGED: entry(409, 1, false, "{file} has changed since the sweep was submitted; restore it or submit again."),
  MODULE_NOT_LOADED: entry(422, 2, false, "{module} could not be loaded: {problem}"),
  TASK_NOT_FOUND: entry(404, 1, false, "{module} exports no task named {task}; it exports {exported}."),
  NOTHING_TO_RUN: entry(422, 2, false, "{module} has no default export to run; end it with `export default sweep(task, {{ over: … }})`."),
  PAYLOAD_TOO_LARGE: entry(413, 2, false, "{what} is {bytes} bytes; the limit is {limit}."),
  BATCH_TOO_LARGE: entry(413, 2, false, "{what} has {count} entries; the limit is {limit}."),
  INVALID_REQUEST: entry(400, 1, false, "{method}: {path}: {problem}"),
  KEY_CONFLICT: entry(409, 1, false, "Submit key {key} was used before for something else."),
  QUEUE_FULL: entry(429, 1, true, "Pool {pool} already holds {depth} waiting tasks (limit {limit}); try again later."),
  // What is not there or not in that state
  EXECUTION_NOT_FOUND: entry(404, 1, false, "There is no execution {execution}."),
  EXECUTION_AMBIGUOUS: entry(409, 1, false, "{execution} stands for several executions: {candidates}."),
  TASK_UNKNOWN: entry(404, 1, false, "Execution {execution} has no task {task}."),
  EXECUTION_ENDED: entry(409, 1, false, "Execution {execution} is already {state}."),
  EXECUTION_SEALED: entry(409, 1, false, "Execution {execution} takes no more tasks."),
  EXECUTION_FAILED: entry(500, 1, false, "Execution {execution} {state}: {completed} of {total} completed, {failed} failed. First failure: {failure}"),
  EXECUTION_CANCELLED: entry(409, 1, false, "Execution {execution} was cancelled."),
  // Leases and sessions
  LEASE_LOST: entry(409, 1, false, "The lease of task {task} in {execution} has passed on; this outcome does not count."),
  SESSION_LOST: entry(410, 1, false, "Session {session} is unknown or was declared dead; open a new one."),
  // The store
  BROKER_OWNED: entry(409, 3, true, "{file} is in use by another process{owner}; connect to that one, or end it first."),
  BROKER_CLOSED: entry(503, 3, true, "The broker is closed."),
  BROKER_UNREACHABLE: entry(503, 3, true, "{url} cannot be reached: {problem}"),
  BROKER_TIMEOUT: entry(504, 3, true, "{method} got no answer from {url} within {timeoutMs} ms."),
  UNAUTHORIZED: entry(401, 3, false, "{url} refused the token; check HOLDFAST_TOKEN."),
  PROTOCOL_MISMATCH: entry(426, 3, false, "{url} speaks version {theirs} of the wire protocol and this program version {ours}; run the same Holdfast on both sides."),
  LISTEN_FAILED: entry(500, 3, true, "{address} cannot be listened on: {problem}"),
  STORE_FULL: entry(507, 3, true, "{file}: the disk is full; nothing of this call was stored. Free some space and try again."),
  STORE_TOO_NEW: entry(500, 3, false, "{file} was written by a newer Holdfast (format {found}, this one knows {known}); upgrade this program."),
  STORE_CORRUPT: entry(500, 3, false, "{file} is no Holdfast database or is damaged: {problem}"),
  STORE_FAILED: entry(500, 3, true, "{file}: {problem}"),
  // Workers and runners
  RUNNER_EXITED: entry(500, 1, false, "The task's process ended by itself ({how})."),
  RUNNER_START_FAILED: entry(500, 1, true, "The runner could not be started: {problem}"),
  TASK_TIMEOUT: entry(504, 1, false, "The task ran longer than its timeout of {timeoutMs} ms and was stopped."),
  TASK_OUT_OF_MEMORY: entry(500, 1, false, "The task used more memory than its limit of {limitMb} MB and was stopped."),
  WORKER_FAILED: entry(500, 1, false, "Worker {worker} ended: {how}."),
  // The rest
  RUNTIME_TOO_OLD: entry(500, 3, false, "Holdfast needs Node {needed} or newer; this is {found}."),
  INTERNAL: entry(500, 70, false, "Unexpected: {problem}. Please report this."),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;
