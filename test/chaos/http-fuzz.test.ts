/** Thousands of requests to every operation of the API, on both brokers. */
import { fuzzOperations } from "../contract/http/fuzz.ts";

for (const store of ["sqlite", "redis"] as const) fuzzOperations(store, { runs: 60, timeLimitMs: 60_000 });
