/** What a request submits, in the broker's words. */
import type { GroupBody, SubmissionBody } from "../api/submission-body.ts";
import type { Submission, TaskGroup } from "../broker/contract.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { textOf } from "./json-text.ts";

interface Place {
  /** Id of the operation, for errors. */
  readonly method: string;
  /** Where in the request: `body`, `body.submissions[2]`. */
  readonly path: string;
  /** JSON values have come as their texts. */
  readonly texts: boolean;
}

/** Errors: INVALID_REQUEST. */
export function toSubmission(body: SubmissionBody, place: Place): Submission {
  const { groups, meta, ...rest } = body;
  return {
    ...rest,
    groups: groups.map((group, index) =>
      toGroup(group, { ...place, path: `${place.path}.groups[${index}]` }, body.name),
    ),
    ...(meta === undefined ? {} : { meta: jsonOf(meta, { ...place, path: `${place.path}.meta` }) }),
  };
}

/** `fallbackName`: of a group that has none. Errors: INVALID_REQUEST. */
export function toGroup(group: GroupBody, place: Place, fallbackName: string): TaskGroup {
  const at = (path: string): Place => ({ ...place, path: `${place.path}.${path}` });
  const { handler, work, ...rest } = group;
  return {
    ...rest,
    name: group.name === "" ? fallbackName : group.name,
    handler: jsonOf(handler, at("handler")),
    work:
      work.kind === "array"
        ? { ...work, source: jsonOf(work.source, at("work.source")) }
        : { ...work, inputs: work.inputs.map((input, index) => jsonOf(input, at(`work.inputs[${index}]`))) },
  };
}

/** The JSON text of a value of the request. Errors: INVALID_REQUEST. */
export function jsonOf(value: unknown, { method, path, texts }: Place): string {
  if (!texts) return textOf({ method, path, value });
  try {
    if (typeof value === "string") {
      JSON.parse(value);
      return value;
    }
  } catch {
    // Said below, as for what is no text at all.
  }
  throw new InvalidRequest(method, [{ path, problem: "is no string that holds a JSON text" }]);
}
