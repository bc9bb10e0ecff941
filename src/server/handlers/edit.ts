/** Edits of executions over HTTP. */
import type * as z from "zod";
import type { EDIT_OPERATIONS } from "../../api/operations/edit.ts";
import type { Edit, EditParams, EditReply } from "../../broker/contract.ts";
import type { HandlersOf, ServerParts } from "../handler.ts";
import { executionReply } from "../replies.ts";
import { asRequest } from "../request-input.ts";
import { toGroup } from "../submissions.ts";

type Handlers = HandlersOf<typeof EDIT_OPERATIONS>;
type EditBody = z.output<typeof EDIT_OPERATIONS.previewEdit.body>["edits"][number];

export function editHandlers({ broker }: ServerParts): Handlers {
  const edit = (params: EditParams): Promise<EditReply> =>
    asRequest(broker.editExecution(params), (path) => path.replace(/^edits/, "body.edits"));
  return {
    previewEdit: async ({ params, query, body }) => {
      const edits = toEdits(body.edits, "previewEdit", query.texts === true);
      const { execution, ...edited } = await edit({ ...params, edits, apply: false });
      return { ...edited, execution: executionReply(execution, query.texts) };
    },
    applyEdit: async ({ params, query, body }) => {
      const edits = toEdits(body.edits, "applyEdit", query.texts === true);
      const { execution, ...edited } = await edit({ ...params, ...body, edits, apply: true });
      return { ...edited, execution: executionReply(execution, query.texts) };
    },
  };
}

/** Errors: INVALID_REQUEST. */
function toEdits(bodies: readonly EditBody[], method: string, texts: boolean): Edit[] {
  return bodies.map((body, index) => {
    if (body.kind !== "add") return body;
    const path = `body.edits[${index}]`;
    const groups = body.groups.map((group, at) => toGroup(group, { method, texts, path: `${path}.groups[${at}]` }, ""));
    return { kind: "add", groups };
  });
}
