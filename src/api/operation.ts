/**
 * What one operation of the HTTP API is: where it lies, who may call it, what it takes and answers.
 *
 * The same definition validates requests (server), types the client (broker/http), and is written
 * into the OpenAPI document, so that the three cannot differ.
 */
import type * as z from "zod";
import type { ErrorCode } from "../errors/index.ts";

/** What a token may be good for: everything; submitting, steering and looking; working; looking. */
export const ROLES = ["admin", "submit", "worker", "read"] as const;
export type Role = (typeof ROLES)[number];

/** Who may call an operation. `admin` always may. */
export type Callers = "anyone" | readonly Exclude<Role, "admin">[];

export const TAGS = [
  "executions",
  "tasks",
  "dead letters",
  "workers",
  "queue",
  "pools",
  "state",
  "access",
  "health",
] as const;
export type Tag = (typeof TAGS)[number];

/** A reply that is no JSON object of ours: media types and what each carries. */
export interface StreamedReply {
  readonly streamed: Readonly<Record<string, string>>;
}

export interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below the API's prefix, parameters in braces: `/executions/{executionId}`. */
  readonly path: string;
  readonly tag: Tag;
  /** One sentence. */
  readonly summary: string;
  /** What else a caller should know. */
  readonly description?: string;
  readonly callers: Callers;
  /** Changes something: it is written to the audit log. */
  readonly changes: boolean;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Request headers that it reads, lower case, and what each says. For the document only. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Largest body, bytes. Default: the server's own limit. */
  readonly bodyLimit?: number;
  /** Status of success. Default 200. */
  readonly status?: number;
  readonly reply: z.ZodType | StreamedReply;
  /** Beside a JSON reply: media types that the caller may choose instead, and what each carries. */
  readonly otherMedia?: Readonly<Record<string, string>>;
  /** Further statuses of success that the handler may choose, with what they mean. */
  readonly otherStatuses?: Readonly<Record<number, string>>;
  /** Errors beyond those that any operation may have (COMMON_ERRORS). */
  readonly errors: readonly ErrorCode[];
}

export type Operations = Readonly<Record<string, Operation>>;

/** Errors that every operation may answer. */
export const COMMON_ERRORS = [
  "INVALID_REQUEST",
  "TOKEN_REFUSED",
  "FORBIDDEN",
  "RATE_LIMITED",
  "INTERNAL",
  "BROKER_CLOSED",
  "BROKER_UNREACHABLE",
] as const satisfies readonly ErrorCode[];

/** Keeps the precise type of a group of operations. */
export function defineOperations<const T extends Operations>(operations: T): T {
  return operations;
}

type Parsed<T> = T extends z.ZodType ? z.output<T> : undefined;
type Given<T> = T extends z.ZodType ? z.input<T> : undefined;

/** What a handler gets, parsed. */
export interface InputOf<O extends Operation> {
  readonly params: Parsed<O["params"]>;
  readonly query: Parsed<O["query"]>;
  readonly body: Parsed<O["body"]>;
}

/** What a client gives. */
export interface RequestOf<O extends Operation> {
  readonly params: Given<O["params"]>;
  readonly query: Given<O["query"]>;
  readonly body: Given<O["body"]>;
}

/** The JSON that an operation answers. */
export type ReplyOf<O extends Operation> = O["reply"] extends z.ZodType ? z.output<O["reply"]> : never;

/** Prefixes under which every operation is served: the first one is the one to use. */
export const API_PREFIXES = ["/api/v1", "/api/distributed"] as const;

/** `/executions/{executionId}` with its parameters filled in. */
export function pathOf(template: string, params: Readonly<Record<string, unknown>> = {}): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name])));
}
