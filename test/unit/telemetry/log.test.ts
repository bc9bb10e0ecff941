import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HoldfastError } from "../../../src/errors/index.ts";
import { createLogger, type LogFormat, type Logger, type LogLevel, silentLogger } from "../../../src/telemetry/log.ts";

function capture(options: { level?: LogLevel; format?: LogFormat; secrets?: readonly string[] } = {}): {
  lines: string[];
  logger: Logger;
} {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const { level = "debug", format = "json", secrets = [] } = options;
  return { lines, logger: createLogger({ level, format, destination, secrets }) };
}

describe("log", () => {
  it("writes one JSON object per line with level, time, message and fields", () => {
    const { lines, logger } = capture();
    logger.child({ worker: "w1" }).info({ leases: 3 }, "claimed");
    const { time, ...rest } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
    assert.deepEqual(rest, { level: "info", worker: "w1", leases: 3, msg: "claimed" });
    assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
    assert.equal(lines.length, 1);
  });

  it("leaves out what is less severe than its level", () => {
    const { lines, logger } = capture({ level: "warn" });
    logger.info({}, "no");
    logger.debug({}, "no");
    logger.warn({}, "yes");
    logger.error({}, "yes");
    assert.equal(lines.length, 2);
  });

  it("writes lines for people", () => {
    const { lines, logger } = capture({ format: "text" });
    logger.warn({ worker: "w1", note: "two words", leases: [1, 2] }, "worker lost");
    assert.match(
      lines[0] ?? "",
      /^\d\d:\d\d:\d\d\.\d{3} warn {2}worker lost worker=w1 note="two words" leases=\[1,2\]\n$/,
    );
  });

  it("writes errors with their stack below the line", () => {
    const { lines, logger } = capture({ format: "text" });
    logger.error({ error: new HoldfastError("BROKER_CLOSED") }, "stopped");
    const [head, stack] = (lines[0] ?? "").split("\n");
    assert.match(head ?? "", /error stopped error="The broker is closed\."$/);
    assert.match(stack ?? "", /HoldfastError: The broker is closed\./);
  });

  for (const format of ["json", "text"] as const) {
    it(`never writes a secret (${format})`, () => {
      const { lines, logger } = capture({ format, secrets: ["s3cret-token"] });
      logger.info({ token: "abc123" }, "plain field");
      logger.info({ options: { token: "abc123", headers: { authorization: "Bearer abc123" } } }, "nested fields");
      logger.child({ password: "abc123" }).info({}, "child");
      logger.info({ url: "wss://host/path?token=abc123&x=1" }, "address with ?token=abc123");
      logger.error({ error: new Error("refused Bearer abc123 by s3cret-token") }, "quoted s3cret-token");
      const text = lines.join("");
      assert.ok(!text.includes("abc123"), text);
      assert.ok(!text.includes("s3cret-token"), text);
      assert.ok(text.includes("x=1"), "what is no secret stays");
    });
  }

  it("can be silent", () => {
    const { lines, logger } = capture({ level: "silent" });
    logger.error({}, "nobody hears");
    silentLogger.child({ a: 1 }).error({}, "nor this");
    assert.deepEqual(lines, []);
  });
});
