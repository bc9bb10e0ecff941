/** The OpenAPI document as tests use it: its operations, and whether an answer is what it says. */
import assert from "node:assert/strict";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { buildOpenApi } from "../../../src/api/openapi.ts";

export type Json = Record<string, unknown>;

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: Json;
}

export interface DocumentedOperation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Json | undefined;
  readonly isBodyRequired: boolean;
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, { readonly schema: Json }> }>>;
}

interface Item {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Record<string, { readonly schema: Json }> };
  readonly responses: DocumentedOperation["responses"];
}

export const DOCUMENT = buildOpenApi("0.0.0-test") as unknown as {
  readonly paths: Record<string, Record<string, Item>>;
  readonly components: { readonly schemas: Record<string, Json> };
};

export const DOCUMENTED: readonly DocumentedOperation[] = Object.entries(DOCUMENT.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({
    id: operation.operationId,
    method: method.toUpperCase(),
    path,
    parameters: operation.parameters ?? [],
    body: operation.requestBody?.content["application/json"]?.schema,
    isBodyRequired: operation.requestBody?.required === true,
    responses: operation.responses,
  })),
);

const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: false });
const compiled = new Map<string, ValidateFunction | undefined>();

function validatorOf(operation: DocumentedOperation, status: string): ValidateFunction | undefined {
  const key = `${operation.id} ${status}`;
  if (!compiled.has(key)) {
    const schema = operation.responses[status]?.content?.["application/json"]?.schema;
    compiled.set(
      key,
      schema === undefined ? undefined : ajv.compile({ ...schema, components: DOCUMENT.components } as Json),
    );
  }
  return compiled.get(key);
}

/** Fails where the answer is not one that the document tells of. */
export function assertDocumented(
  operation: DocumentedOperation,
  answer: { readonly status: number; readonly text: string; readonly headers: Headers },
): void {
  const told = `${operation.id} answered ${answer.status}: ${answer.text.slice(0, 400)}`;
  assert.ok(answer.status in operation.responses, `the document knows no such status; ${told}`);
  const [media = ""] = (answer.headers.get("content-type") ?? "").split(";");
  const content = operation.responses[String(answer.status)]?.content ?? {};
  assert.ok(media in content, `the document knows no ${media} there; ${told}`);
  if (media !== "application/json") return;
  const validate = validatorOf(operation, String(answer.status));
  assert.ok(validate !== undefined, `the document has no schema for it; ${told}`);
  assert.ok(validate(JSON.parse(answer.text)), `${JSON.stringify(validate.errors)}; ${told}`);
}
