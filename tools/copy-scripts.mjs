// Puts the Lua scripts of the Redis broker where the compiled code looks for them: beside itself.
import { cpSync, rmSync } from "node:fs";

const from = new URL("../src/broker/redis/scripts/", import.meta.url);
const to = new URL("../dist/src/broker/redis/scripts/", import.meta.url);

rmSync(to, { recursive: true, force: true });
cpSync(from, to, { recursive: true });
