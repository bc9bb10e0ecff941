/** Pools: what waits and runs in each, and stopping them. */
import * as z from "zod";
import { ALL_POOLS } from "../../broker/contract.ts";
import { MAX_POOL_WORKERS } from "../../broker/limits.ts";
import { integer, name } from "../../broker/schema-parts.ts";
import { poolSchema } from "../looking-schemas.ts";
import { defineOperations } from "../operation.ts";

const params = z.strictObject({ pool: name });
const workers = integer(0, MAX_POOL_WORKERS);

export const POOL_OPERATIONS = defineOperations({
  listPools: {
    method: "GET",
    path: "/pools",
    tag: "pools",
    summary: "Lists the pools, with what waits, runs and has ended in each, and who serves it.",
    callers: ["submit", "worker", "read"],
    changes: false,
    reply: z.strictObject({ pools: z.array(poolSchema) }),
    errors: [],
  },
  getPool: {
    method: "GET",
    path: "/pools/{pool}",
    tag: "pools",
    summary: "Shows one pool.",
    callers: ["submit", "worker", "read"],
    changes: false,
    params,
    reply: poolSchema,
    errors: ["POOL_NOT_FOUND"],
  },
  pausePool: {
    method: "POST",
    path: "/pools/{pool}/pause",
    tag: "pools",
    summary: "Lets nothing more of a pool start; what runs finishes.",
    description: `\`${ALL_POOLS}\` means every pool, those to come included. A pool that nobody has named yet can be paused ahead.`,
    callers: ["submit"],
    changes: true,
    params,
    reply: poolSchema,
    errors: [],
  },
  resumePool: {
    method: "POST",
    path: "/pools/{pool}/resume",
    tag: "pools",
    summary: "Lets a pool that was paused go on.",
    description: `\`${ALL_POOLS}\` takes back that every pool was paused; a pool that was paused by itself stays so.`,
    callers: ["submit"],
    changes: true,
    params,
    reply: poolSchema,
    errors: [],
  },
  limitPool: {
    method: "PUT",
    path: "/pools/{pool}/limits",
    tag: "pools",
    summary: "Says how many workers a pool should have, and how many of them get its work.",
    description:
      "Those that came first get it; the others stand by, and take over when one leaves or dies. What runs is not stopped. A pool that nobody has named yet can be limited ahead.",
    callers: ["submit"],
    changes: true,
    params,
    body: z.strictObject({
      min: workers.default(0).describe("Fewer are told by those who look; nothing else follows."),
      max: z.exactOptional(workers).describe("Without it: all. 0: nobody."),
    }),
    reply: poolSchema,
    errors: [],
  },
});
