/** The OpenAPI document: whole, consistent, and made of schemas that compile. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { API_PREFIXES, TAGS } from "../../../src/api/operation.ts";
import { OPERATION_LIST } from "../../../src/api/operations.ts";
import { buildOpenApi } from "../../../src/api/openapi.ts";
import { ERROR_CATALOGUE } from "../../../src/errors/index.ts";

type Json = Record<string, unknown>;

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: Json;
}

interface OperationObject {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly Json[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, { readonly schema: Json }> };
  readonly responses: Record<
    string,
    { readonly description: string; readonly content?: Record<string, { readonly schema: Json }> }
  >;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Record<string, Record<string, OperationObject>>;
  readonly components: { readonly schemas: Record<string, Json>; readonly securitySchemes: Json };
}

const document = buildOpenApi("1.2.3") as unknown as Document;
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
);

function schemasOf(operation: OperationObject): Json[] {
  const bodies = Object.values(operation.requestBody?.content ?? {});
  const replies = Object.values(operation.responses).flatMap(({ content = {} }) => Object.values(content));
  return [...(operation.parameters ?? []), ...bodies, ...replies].map(({ schema }) => schema);
}

function isSimple(schema: Json): boolean {
  const choices = schema["anyOf"];
  if (Array.isArray(choices)) return choices.every((choice) => isSimple(choice as Json));
  const type = schema["type"] ?? (schema["enum"] === undefined ? undefined : "string");
  return ["string", "integer", "number", "boolean", "array"].some((simple) => simple === type);
}

describe("openapi document", () => {
  it("has the head that the specification asks for", () => {
    assert.equal(document.openapi, "3.1.0");
    assert.deepEqual(document.info.version, "1.2.3");
    assert.deepEqual(
      document.servers.map(({ url }) => url),
      API_PREFIXES,
    );
    // It travels as JSON: nothing in it may get lost.
    assert.deepEqual(JSON.parse(JSON.stringify(document)), document);
  });

  it("tells of every operation, once", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.deepEqual(ids.toSorted(), OPERATION_LIST.map(([id]) => id).toSorted());
    assert.equal(new Set(ids).size, ids.length);
    for (const { operation } of operations) {
      assert.ok(operation.summary.endsWith("."), `${operation.operationId} is summed up in a sentence`);
      for (const tag of operation.tags) assert.ok((TAGS as readonly string[]).includes(tag));
    }
  });

  it("defines every parameter of a path, and no other", () => {
    for (const { path, operation } of operations) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
      const defined = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
      assert.deepEqual(defined.map(({ name }) => name).toSorted(), named.toSorted(), path);
      for (const { required, name } of defined) assert.equal(required, true, `${path}: ${name}`);
    }
  });

  it("has parameters with different names, and only simple ones", () => {
    for (const { operation } of operations) {
      const keys = (operation.parameters ?? []).map((parameter) => `${parameter.in} ${parameter.name}`);
      assert.equal(new Set(keys).size, keys.length, operation.operationId);
      for (const { schema, name } of operation.parameters ?? []) {
        assert.ok(isSimple(schema), `${operation.operationId}: ${name} is ${JSON.stringify(schema)}`);
      }
    }
  });

  it("has no two paths that stand for the same", () => {
    const shapes = Object.keys(document.paths).map((path) => path.replaceAll(/\{\w+\}/g, "{}"));
    assert.equal(new Set(shapes).size, shapes.length);
  });

  it("refers only to what is there", () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref ?? "");
    assert.ok(refs.length > 0);
    for (const ref of new Set(refs)) {
      const name = /^#\/components\/schemas\/(\w+)$/.exec(ref)?.[1];
      assert.ok(name !== undefined && Object.hasOwn(document.components.schemas, name), ref);
    }
  });

  it("has schemas that a validator of JSON Schema 2020-12 compiles", () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
    const { schemas } = document.components;
    ajv.addSchema({ $id: "document", components: { schemas } });
    const here = (schema: Json): Json =>
      JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/')) as Json;
    const all = [...Object.values(schemas), ...operations.flatMap(({ operation }) => schemasOf(operation))];
    for (const text of new Set(all.map((schema) => JSON.stringify(schema)))) {
      const schema = JSON.parse(text) as Json;
      assert.equal(ajv.validateSchema(schema), true, JSON.stringify(ajv.errors));
      ajv.compile(here(schema));
    }
  });

  it("says of every operation which errors it may have, in one shape", () => {
    for (const { operation } of operations) {
      const definition = OPERATION_LIST.find(([id]) => id === operation.operationId)?.[1];
      for (const code of definition?.errors ?? []) {
        const { httpStatus } = ERROR_CATALOGUE[code];
        const told = operation.responses[httpStatus]?.description ?? "";
        assert.ok(told.includes(code), `${operation.operationId}: ${code} under ${httpStatus}`);
      }
      assert.ok(operation.responses["default"] !== undefined);
    }
  });

  it("asks for a token where not everybody may call", () => {
    for (const { operation } of operations) {
      const definition = OPERATION_LIST.find(([id]) => id === operation.operationId)?.[1];
      const isOpen = operation.security.some((one) => Object.keys(one).length === 0);
      assert.equal(isOpen, definition?.callers === "anyone", operation.operationId);
    }
  });

  it("shows the entries of lists whose length is bounded", () => {
    const group = document.components.schemas["TaskGroup"] as { readonly properties: { readonly requires: Json } };
    assert.equal(group.properties.requires["type"], "array");
  });

  it("shows numbers of a query as numbers", () => {
    const list = document.paths["/executions"]?.["get"];
    const limit = list?.parameters?.find(({ name }) => name === "limit");
    assert.deepEqual(limit?.schema, { type: "integer", minimum: 1, maximum: 1_000 });
    assert.equal(limit.required, false);
  });
});
