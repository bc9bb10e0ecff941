/** Calls of the API whose answers must have the shape that their operation promises. */
import assert from "node:assert/strict";
import * as z from "zod";
import { type Operation, pathOf } from "../../src/api/operation.ts";
import { type OperationId, OPERATIONS } from "../../src/api/operations.ts";
import type { HttpWorld } from "./http-server.ts";

export interface CheckedRequest {
  readonly params?: Readonly<Record<string, unknown>>;
  /** As it stands after the question mark. */
  readonly query?: string;
  readonly body?: unknown;
  /** Default: the operation's own. */
  readonly status?: number;
}

/** The operation's answer, which has its status and fits its schema. */
export async function checkedReply<T = Record<string, unknown>>(
  world: HttpWorld,
  id: OperationId,
  { params = {}, query, body, status }: CheckedRequest = {},
): Promise<T> {
  const operation: Operation = OPERATIONS[id];
  const path = `${pathOf(operation.path, params)}${query === undefined ? "" : `?${query}`}`;
  const reply = await world.expect<T>(status ?? operation.status ?? 200, `${operation.method} ${path}`, body);
  assert.ok(operation.reply instanceof z.ZodType, `${id} answers with JSON`);
  const parsed = operation.reply.safeParse(reply);
  assert.ok(parsed.success, `${id}: ${JSON.stringify(reply).slice(0, 500)}\n${JSON.stringify(parsed.error?.issues)}`);
  return reply;
}
