/** A short fuzz of the API; the long one, also on Redis, is test/chaos/http-fuzz.test.ts. */
import { fuzzOperations } from "./fuzz.ts";

fuzzOperations("sqlite", { runs: 15, timeLimitMs: 20_000 });
