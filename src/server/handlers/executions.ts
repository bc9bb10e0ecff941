/** Executions over HTTP. */
import { EXECUTION_DEFAULTS, type EXECUTION_OPERATIONS } from "../../api/operations/executions.ts";
import type { GroupBody } from "../../api/submission-body.ts";
import type { AttemptLog, SubmitReceipt } from "../../broker/contract.ts";
import { HoldfastError } from "../../errors/index.ts";
import { type Call, type HandlersOf, RawReply, type ServerParts, StatusReply } from "../handler.ts";
import { preferredMedia } from "../media.ts";
import { attemptReply, executionReply, resultReply } from "../replies.ts";
import { asRequest } from "../request-input.ts";
import { csvStream, ndjsonStream } from "../result-lines.ts";
import { jsonOf, toGroup, toSubmission } from "../submissions.ts";
import { submitKey } from "../submit-key.ts";
import { readOrNow, statusOf, waitForEnd } from "../waiting.ts";

type Handlers = HandlersOf<typeof EXECUTION_OPERATIONS>;

const NDJSON = "application/x-ndjson";
const CSV = "text/csv";

export function executionHandlers(parts: ServerParts): Handlers {
  return { ...submitting(parts), ...looking(parts), ...steering(parts), ...reading(parts) };
}

function submitting({
  broker,
  clock,
}: ServerParts): Pick<Handlers, "submitExecution" | "submitExecutions" | "extendExecution"> {
  return {
    submitExecution: async ({ body, query }, call) => {
      const asText = query.texts === true;
      const key = submitKey(call, "submitExecution", body.key);
      const place = { method: "submitExecution", path: "body", texts: asText };
      // In this order: what is sent again under a key is compared as a text.
      const submission = toSubmission({ ...(key === undefined ? {} : { key }), ...body }, place);
      const { executions } = await asRequest(broker.submit({ submissions: [submission] }), (path) =>
        path.replace(/^submissions\[0\]/, "body").replace(/^tasks$/, "body.groups"),
      );
      const receipt = oneReceipt(executions);
      if (query.wait === undefined) return receipt;
      const { executionId } = receipt;
      const view = await waitForEnd(broker, { executionId, waitMs: query.wait, clock, signal: call.signal });
      return new StatusReply(statusOf(view), { ...receipt, execution: executionReply(view, asText) });
    },
    submitExecutions: async ({ body, query }) => {
      const texts = query.texts === true;
      const submissions = body.submissions.map((submission, index) =>
        toSubmission(submission, { method: "submitExecutions", path: `body.submissions[${index}]`, texts }),
      );
      const { executions } = await asRequest(broker.submit({ submissions }), (path) =>
        path.replace(/^(submissions|tasks)(?=\[|$)/, (word) =>
          word === "tasks" ? "body.submissions" : `body.${word}`,
        ),
      );
      return { executions: executions.map(({ executionId, created }) => ({ executionId, created })) };
    },
    extendExecution: async ({ params, body, query }) => {
      const { part, seal } = body;
      const place = { method: "extendExecution", texts: query.texts === true };
      const groups = body.groups.map((group: GroupBody, index: number) =>
        toGroup(group, { ...place, path: `body.groups[${index}]` }, ""),
      );
      const { total } = await asRequest(broker.extend({ ...params, part, groups, seal }), (path) =>
        path.replace(/^(?:extend\.)?groups/, "body.groups").replace(/^tasks$/, "body.groups"),
      );
      return { total };
    },
  };
}

function looking({ broker }: ServerParts): Pick<Handlers, "listExecutions" | "getExecution"> {
  return {
    listExecutions: async ({ query }) => {
      const { state, kind, name, prefix, order, limit = EXECUTION_DEFAULTS.limit, cursor, texts } = query;
      const { executions, next } = await broker.listExecutions({
        limit,
        ...(state === undefined ? {} : { states: state }),
        ...(kind === undefined ? {} : { kinds: kind }),
        ...(name === undefined ? {} : { name }),
        ...(prefix === undefined ? {} : { idPrefix: prefix }),
        ...(order === undefined ? {} : { order }),
        ...(cursor === undefined ? {} : { after: cursor }),
      });
      return {
        executions: executions.map((view) => executionReply(view, texts)),
        ...(next === undefined ? {} : { next }),
      };
    },
    getExecution: async ({ params, query: { texts, wait = 0 } }, call) => {
      const read = (waitMs: number): ReturnType<typeof broker.getExecution> =>
        broker.getExecution({ ...params, waitMs });
      return executionReply(await readOrNow(read, wait, () => call.signal), texts);
    },
  };
}

function steering({
  broker,
}: ServerParts): Pick<
  Handlers,
  "pauseExecution" | "resumeExecution" | "cancelExecution" | "signalExecution" | "retryExecution" | "rerunExecution"
> {
  return {
    pauseExecution: async ({ params, query }, { principal }) =>
      executionReply(await broker.pause({ ...params, by: principal.name }), query.texts),
    resumeExecution: async ({ params, query }, { principal }) =>
      executionReply(await broker.resume({ ...params, by: principal.name }), query.texts),
    cancelExecution: async ({ params, query, body }) =>
      executionReply(await broker.cancel({ ...params, ...body }), query.texts),
    signalExecution: async ({ params, query, body }) => {
      const place = { method: "signalExecution", path: "body.payload", texts: query.texts === true };
      const payload = body?.payload === undefined ? "null" : jsonOf(body.payload, place);
      const { accepted, released } = await broker.signal({ ...params, payload });
      return { accepted, released };
    },
    retryExecution: async ({ params, query, body }) => {
      const { changed, execution } = await broker.retry({ ...params, ...body });
      return { changed, execution: executionReply(execution, query.texts) };
    },
    rerunExecution: async ({ params, query, body }) => {
      const { reset, execution } = await asRequest(broker.rerun({ ...params, ...body }), (path) =>
        path === "task" ? "body.task" : path,
      );
      return { reset, execution: executionReply(execution, query.texts) };
    },
  };
}

function reading({ broker }: ServerParts): Pick<Handlers, "readResults" | "listAttempts" | "readLogs"> {
  return {
    readResults: async ({ params, query }, call) => {
      const { format = formatOf(call), cursor, limit = EXECUTION_DEFAULTS.limit, wait = 0, texts } = query;
      if (format === "json") {
        const ask = { ...params, limit, ...(cursor === undefined ? {} : { cursor }) };
        const page = await readOrNow(
          (waitMs) =>
            broker.readResults({ ...ask, waitMs, ...(query.partials === true ? { partialsOnly: true } : {}) }),
          wait,
          () => call.signal,
        );
        return { rows: page.rows.map((row) => resultReply(row, texts)), cursor: page.cursor, done: page.done };
      }
      // An execution that is not there is told before a stream begins.
      await broker.getExecution(params);
      const lines = { broker, ...params, cursor, follow: query.follow === true, signal: call.signal };
      return format === "ndjson"
        ? new RawReply(`${NDJSON}; charset=utf-8`, ndjsonStream(lines))
        : new RawReply(`${CSV}; charset=utf-8; header=present`, await csvStream(lines));
    },
    listAttempts: async ({ params, query }) => {
      const { task, limit = EXECUTION_DEFAULTS.limit } = query;
      const { attempts } = await broker.listAttempts({ ...params, limit, ...(task === undefined ? {} : { task }) });
      return { attempts: attempts.map(attemptReply) };
    },
    readLogs: async ({ params, query }, call) => {
      const { task, limit = EXECUTION_DEFAULTS.logs, format } = query;
      const { attempts } = await broker.listAttempts({ ...params, limit, ...(task === undefined ? {} : { task }) });
      const isText =
        format === "text" || (format === undefined && preferredMedia(call.header("accept"), ["text/plain"]));
      if (isText === true || isText === "text/plain")
        return new RawReply("text/plain; charset=utf-8", attempts.map(logText).join(""));
      return {
        logs: attempts.map((attempt) => {
          const { stdout, stderr, truncated } = attempt.output ?? { stdout: "", stderr: "", truncated: false };
          return { ...attemptReply(attempt), stdout, stderr, truncated };
        }),
      };
    },
  };
}

function oneReceipt(receipts: readonly SubmitReceipt[]): { readonly executionId: string; readonly created: boolean } {
  const [receipt] = receipts;
  if (receipt === undefined)
    throw new HoldfastError("INTERNAL", { problem: "the broker answered a submission with nothing" });
  return { executionId: receipt.executionId, created: receipt.created };
}

function formatOf(call: Call): "json" | "ndjson" | "csv" {
  const media = preferredMedia(call.header("accept"), [NDJSON, CSV]);
  if (media === NDJSON) return "ndjson";
  return media === CSV ? "csv" : "json";
}

function logText({ task, start, end, attempt, worker, outcome, at, output }: AttemptLog): string {
  const items = start === undefined ? "" : ` items ${start} to ${(end ?? start + 1) - 1}`;
  const head = `--- task ${task}${items}, attempt ${attempt} on ${worker}: ${outcome}, ${new Date(at).toISOString()}\n`;
  const texts = [output?.stdout ?? "", output?.stderr ?? ""].map((text) =>
    text === "" || text.endsWith("\n") ? text : `${text}\n`,
  );
  return head + texts.join("");
}
