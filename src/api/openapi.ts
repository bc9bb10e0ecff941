/**
 * The OpenAPI 3.1 document, made from the operations: the schemas that it shows are those that check
 * requests and that replies are typed by.
 */
import * as z from "zod";
import { ERROR_CATALOGUE, type ErrorCode } from "../errors/index.ts";
import { API_PREFIXES, COMMON_ERRORS, type Operation, TAGS } from "./operation.ts";
import { OPERATION_LIST } from "./operations.ts";

type Json = Record<string, unknown>;
type Direction = "input" | "output";

const COMPONENTS = "#/components/schemas/";
const JSON_TYPE = "application/json";

/** Errors of every operation that takes a body. */
const BODY_ERRORS = [
  "BODY_TIMEOUT",
  "PAYLOAD_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
  "TOO_BIG_INTEGER",
] as const satisfies readonly ErrorCode[];

const errorSchema = z
  .strictObject({
    success: z.literal(false),
    error: z.string().describe("One sentence that says what is wrong and what to do."),
    code: z.string().describe("Stable: see the page on errors."),
    field: z
      .exactOptional(z.string())
      .describe("What of the request is wrong: `body.jobs[2].dependsOn[0]`, `query.limit`."),
    problems: z
      .exactOptional(z.array(z.strictObject({ field: z.string(), problem: z.string() })))
      .describe("All that is wrong, where that is more than one thing."),
    details: z.exactOptional(z.record(z.string(), z.unknown())).describe("What the sentence was made of."),
    requestId: z.string().describe("Names this call in the server's log."),
  })
  .meta({ id: "Error", description: "Every answer that is no success." });

const SECURITY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer", description: "A token, made with `holdfast token create`." },
  workerId: { type: "apiKey", in: "header", name: "x-worker-id" },
  workerTimestamp: {
    type: "apiKey",
    in: "header",
    name: "x-worker-timestamp",
    description: "Milliseconds since 1970.",
  },
  workerSignature: {
    type: "apiKey",
    in: "header",
    name: "x-worker-signature",
    description: "HMAC-SHA256 of `workerId:timestamp` under the workers' secret, in hex.",
  },
} as const;

/** `version`: of the program that serves the API. */
export function buildOpenApi(version: string): Json & { readonly openapi: string } {
  const schemas = new SchemaBook();
  const error = schemas.convert(errorSchema, "output");
  const paths: Record<string, Json> = {};
  for (const [id, operation] of OPERATION_LIST) {
    const path = (paths[operation.path] ??= {});
    path[operation.method.toLowerCase()] = operationObject(id, operation, { schemas, error });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Holdfast",
      version,
      summary: "Durable execution over many workers.",
      description:
        "Every call may be sent again after a lost connection. Times are milliseconds since 1970. " +
        "Waits are texts such as `20s`. Unknown fields are refused.",
    },
    servers: API_PREFIXES.map((url) => ({ url })),
    tags: TAGS.map((name) => ({ name })),
    paths,
    components: { schemas: schemas.components(), securitySchemes: SECURITY_SCHEMES },
  };
}

interface Shared {
  readonly schemas: SchemaBook;
  readonly error: Json;
}

function operationObject(id: string, operation: Operation, shared: Shared): Json {
  const { schemas } = shared;
  const { summary, description, tag, callers, body } = operation;
  const parameters = [
    ...parametersOf(schemas, operation.params, "path"),
    ...parametersOf(schemas, operation.query, "query"),
    ...Object.entries(operation.headers ?? {}).map(([name, text]) => ({
      name,
      in: "header",
      description: text,
      schema: { type: "string" },
    })),
  ];
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [description, rolesText(callers)].filter((text) => text !== undefined).join(" "),
    security: securityOf(callers),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: { [JSON_TYPE]: { schema: schemas.convert(body, "input") } },
          },
        }),
    responses: responsesOf(operation, shared),
  };
}

function parametersOf(schemas: SchemaBook, object: z.ZodObject | undefined, place: "path" | "query"): Json[] {
  if (object === undefined) return [];
  const { properties = {}, required = [] } = schemas.convert(object, "input") as {
    readonly properties?: Record<string, Json>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(description === undefined ? {} : { description }),
    // Lists may be given with commas or again and again.
    ...(schema["type"] === "array" ? { style: "form", explode: false } : {}),
    schema,
  }));
}

function rolesText(callers: Operation["callers"]): string {
  return callers === "anyone" ? "Needs no token." : `Roles: ${["admin", ...callers].join(", ")}.`;
}

function securityOf(callers: Operation["callers"]): Json[] {
  if (callers === "anyone") return [{}];
  const signed = { workerId: [], workerTimestamp: [], workerSignature: [] };
  return [{ bearer: [] }, ...(callers.includes("worker") ? [signed] : [])];
}

function responsesOf(operation: Operation, { schemas, error }: Shared): Json {
  const { reply, otherMedia = {}, otherStatuses = {}, status = 200 } = operation;
  const content: Json =
    reply instanceof z.ZodType
      ? { [JSON_TYPE]: { schema: schemas.convert(reply, "output") } }
      : mediaOf(reply.streamed);
  const responses: Record<string, Json> = {
    [status]: { description: operation.summary, content: { ...content, ...mediaOf(otherMedia) } },
  };
  for (const [other, meaning] of Object.entries(otherStatuses)) responses[other] = { description: meaning, content };
  const codes = [...COMMON_ERRORS, ...(operation.method === "GET" ? [] : BODY_ERRORS), ...operation.errors];
  for (const [errorStatus, some] of Map.groupBy(new Set(codes), (code) => ERROR_CATALOGUE[code].httpStatus)) {
    const told = some.map((code) => `\`${code}\``).join(", ");
    const own = responses[errorStatus];
    responses[errorStatus] =
      own === undefined
        ? { description: told, content: { [JSON_TYPE]: { schema: error } } }
        : { description: `${String(own["description"])} Or ${told}.`, content: eitherOf(content, error) };
  }
  responses["default"] = { description: "Any other error.", content: { [JSON_TYPE]: { schema: error } } };
  return responses;
}

function eitherOf(content: Json, error: Json): Json {
  const own = content[JSON_TYPE] as { readonly schema: Json } | undefined;
  return { [JSON_TYPE]: { schema: own === undefined ? error : { anyOf: [own.schema, error] } } };
}

function mediaOf(media: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(
    Object.entries(media).map(([type, description]) => [type, { schema: { type: "string", description } }]),
  );
}

/** Schemas as JSON Schema; those that have a name once, for all who refer to them. */
class SchemaBook {
  readonly #named = new Map<string, Json>();

  components(): Json {
    return Object.fromEntries([...this.#named].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  convert(schema: z.ZodType, direction: Direction): Json {
    const converted = z.toJSONSchema(schema, {
      target: "draft-2020-12",
      io: direction,
      override: ({ zodSchema, jsonSchema }) =>
        this.#override(zodSchema as unknown as z.ZodType, jsonSchema as Json, direction),
    }) as Json;
    const { $schema: _, $defs = {}, ...rest } = converted;
    for (const [name, definition] of Object.entries($defs as Record<string, Json>))
      this.#keep(name, inPlace(definition));
    return inPlace(rest);
  }

  #override(zodSchema: z.ZodType, jsonSchema: Json, direction: Direction): void {
    const written = jsonSchema["openapi"] as Json | undefined;
    if (written !== undefined) {
      const { description } = jsonSchema;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      Object.assign(jsonSchema, written, description === undefined ? {} : { description });
      return;
    }
    // A list whose length is looked at first takes anything, and then only what its entries take.
    const checked = direction === "input" ? checkedFirst(zodSchema) : undefined;
    if (checked !== undefined) Object.assign(jsonSchema, this.convert(checked, direction));
  }

  #keep(name: string, definition: Json): void {
    const known = this.#named.get(name);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(definition))
      throw new Error(`two schemas are named ${name}`);
    this.#named.set(name, definition);
  }
}

function checkedFirst(schema: z.ZodType): z.ZodType | undefined {
  if (!(schema instanceof z.ZodPipe) || !(schema.in instanceof z.ZodUnknown)) return undefined;
  return schema.out instanceof z.ZodType ? schema.out : undefined;
}

/** The schema with its references pointing to where the document keeps what they name. */
function inPlace(schema: Json): Json {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        key === "$ref" && typeof inner === "string" ? inner.replace("#/$defs/", COMPONENTS) : walk(inner),
      ]),
    );
  };
  const { id: _, ...rest } = walk(schema) as Json;
  return rest;
}
