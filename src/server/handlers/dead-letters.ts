import type { DEAD_LETTER_OPERATIONS } from "../../api/operations/dead-letters.ts";
import type { AttemptLog, DeadLetter } from "../../broker/contract.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import { findLetter, handleLetters, listLetters, parseLetterId, TaskNames, viewOf } from "../letters.ts";
import { JsonText } from "../reply-text.ts";
import { asRequest } from "../request-input.ts";

/** Attempts shown with a letter. */
const ATTEMPTS_SHOWN = 20;
/** Characters of what the last attempt wrote. */
const TAIL_LENGTH = 4_000;

export function deadLetterHandlers({ broker }: ServerParts): HandlersOf<typeof DEAD_LETTER_OPERATIONS> {
  return {
    listDeadLetters: async ({ query: { cursor, ...query } }) => {
      const { letters, next } = await asRequest(
        listLetters(broker, { ...query, ...(cursor === undefined ? {} : { after: cursor }) }),
        inQuery,
      );
      return { letters: [...letters], ...(next === undefined ? {} : { next }) };
    },
    getDeadLetter: async ({ params }) => {
      const letter = await findLetter(broker, parseLetterId(params.letterId));
      const { executionId, task } = letter;
      const names = new TaskNames(broker);
      const [{ attempts }] = await Promise.all([
        broker.listAttempts({ executionId, task, limit: MAX_PAGE }),
        names.learn([letter]),
      ]);
      const own = attempts.filter((attempt) => isOf(attempt, letter)).slice(0, ATTEMPTS_SHOWN);
      return {
        ...viewOf(letter, names),
        ...(letter.input === undefined ? {} : { input: JsonText.of(letter.input) }),
        attempts: own.map(withoutOutput),
        ...tailOf(own),
      };
    },
    replayDeadLetters: async ({ body }) => ({
      success: true,
      ...(await asRequest(
        handleLetters(broker, body, (letters) => broker.retry(letters)),
        inBody,
      )),
    }),
    discardDeadLetters: async ({ body }) => ({
      success: true,
      ...(await asRequest(
        handleLetters(broker, body, (letters) => broker.discard(letters)),
        inBody,
      )),
    }),
  };
}

/** The only thing of a request that a broker refuses by itself is a cursor that it has not given out. */
function inQuery(path: string): string {
  return path === "after" ? "query.cursor" : path;
}

function inBody(path: string): string {
  return path === "after" ? "body.cursor" : path;
}

function withoutOutput(attempt: AttemptLog): Omit<AttemptLog, "output"> {
  const { output, ...rest } = attempt;
  return output === undefined ? attempt : rest;
}

/** Whether an attempt ran the letter's task, or any of its items. */
function isOf(attempt: AttemptLog, letter: DeadLetter): boolean {
  if (letter.start === undefined || letter.end === undefined) return true;
  return attempt.start !== undefined && attempt.start < letter.end && (attempt.end ?? attempt.start + 1) > letter.start;
}

function tailOf(attempts: readonly AttemptLog[]): { readonly outputTail?: { stdout: string; stderr: string } } {
  const output = attempts.find((attempt) => attempt.output !== undefined)?.output;
  if (output === undefined) return {};
  return { outputTail: { stdout: output.stdout.slice(-TAIL_LENGTH), stderr: output.stderr.slice(-TAIL_LENGTH) } };
}
