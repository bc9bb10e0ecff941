/** Tokens: who may call the API, and what each may do. */
import * as z from "zod";
import { boundedArray, MAX_DURATION_MS, name } from "../../broker/schema-parts.ts";
import { defineOperations, ROLES } from "../operation.ts";

const MAX_TOKEN_NAME = 64;
const MAX_TOKEN_ID = 64;
const MAX_TOKEN_POOLS = 64;
/** Shorter is no use: it would be over before anybody could use it. */
const MIN_LIFE_MS = 1_000;
/** Kept in the store for a while after its end. */
const MAX_LIFE_MS = MAX_DURATION_MS / 2;

const role = z.enum(ROLES);
const timestamp = z.number();

const tokenShape = {
  /** Names the token; no secret. */
  id: z.string(),
  name: z.string(),
  role,
  /** Only pools that a worker with it may serve; absent: all. */
  pools: z.array(z.string()).optional(),
  createdAt: timestamp,
  /** Who made it. */
  createdBy: z.string(),
  /** Absent: never. */
  expiresAt: timestamp.optional(),
  expired: z.boolean(),
};

export const tokenSchema = z.strictObject(tokenShape);

export const newTokenSchema = z
  .strictObject({
    /** What it is for, for those who read the list. */
    name: z.string().min(1).max(MAX_TOKEN_NAME),
    role,
    pools: z.exactOptional(boundedArray(name, MAX_TOKEN_POOLS)),
    /** Milliseconds. Absent: it does not expire. */
    expiresInMs: z.exactOptional(z.int().min(MIN_LIFE_MS).max(MAX_LIFE_MS)),
  })
  .refine(({ role, pools }) => pools === undefined || role === "worker", {
    path: ["pools"],
    error: "only tokens of role worker can be limited to pools",
  })
  .refine(({ pools }) => pools === undefined || pools.length > 0, {
    path: ["pools"],
    error: "name at least one pool, or leave it out for all",
  });

export const TOKEN_OPERATIONS = defineOperations({
  createToken: {
    method: "POST",
    path: "/tokens",
    tag: "access",
    summary: "Makes a token, and tells it this once.",
    description:
      "Only a digest of the token is kept. Roles: admin may do everything; submit may submit, steer, look and use shared state; worker may work and use shared state; read may look.",
    callers: [],
    changes: true,
    body: newTokenSchema,
    status: 201,
    reply: z.strictObject({
      success: z.literal(true),
      /** To be sent as `Authorization: Bearer TOKEN`. */
      token: z.string(),
      ...tokenShape,
    }),
    errors: ["STORE_FULL"],
  },
  listTokens: {
    method: "GET",
    path: "/tokens",
    tag: "access",
    summary: "Lists the tokens, oldest first, without their secrets.",
    callers: [],
    changes: false,
    reply: z.strictObject({ success: z.literal(true), tokens: z.array(tokenSchema) }),
    errors: [],
  },
  revokeToken: {
    method: "DELETE",
    path: "/tokens/{tokenId}",
    tag: "access",
    summary: "Revokes a token.",
    description: "Every server on the same store refuses it within 2 seconds, and closes the sockets that it opened.",
    callers: [],
    changes: true,
    params: z.strictObject({ tokenId: z.string().min(1).max(MAX_TOKEN_ID) }),
    reply: z.strictObject({ success: z.literal(true), tokenId: z.string() }),
    errors: ["TOKEN_NOT_FOUND"],
  },
  whoAmI: {
    method: "GET",
    path: "/whoami",
    tag: "access",
    summary: "Says whose token the request carries, and what it may do.",
    callers: ["submit", "worker", "read"],
    changes: false,
    reply: z.strictObject({
      success: z.literal(true),
      name: z.string(),
      role,
      pools: z.array(z.string()).optional(),
      tokenId: z.string().optional(),
    }),
    errors: [],
  },
});
