/** What tests of the connection layer share: a link with short timeouts, and what it logs. */
import { type Link, type LinkOptions, openLink } from "../../src/broker/redis/link/link.ts";
import type { RedisNode, RedisTarget } from "../../src/broker/redis/link/target.ts";
import type { Logger } from "../../src/telemetry/log.ts";
import { systemClock } from "../../src/util/clock.ts";
import { seededRandom } from "./seeded-random.ts";

export interface LogLine {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface TestLink {
  readonly link: Link;
  /** Everything that it has logged. */
  readonly lines: readonly LogLine[];
}

export function standalone(node: RedisNode, more: Partial<RedisTarget> = {}): RedisTarget {
  return { mode: "standalone", nodes: [{ host: node.host, port: node.port }], db: 0, ...more };
}

/** `cleanup` is told how to close it. */
export async function testLink(
  target: RedisTarget,
  cleanup: (close: () => Promise<void>) => void,
  options: Partial<LinkOptions> = {},
): Promise<TestLink> {
  const lines: LogLine[] = [];
  const link = await openLink({
    target,
    slot: 0,
    name: "link-test",
    clock: systemClock({ keepAlive: true }),
    random: seededRandom(1),
    logger: recorder(lines),
    ...options,
  });
  cleanup(() => link.close());
  return { link, lines };
}

/** How a promise was rejected; a promise that is kept is an error. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (thrown) {
    return thrown;
  }
  throw new Error(`expected a rejection and got ${JSON.stringify(value)}`);
}

function recorder(lines: LogLine[]): Logger {
  const write = (fields: object, message: string): void => {
    lines.push({ fields: fields as LogLine["fields"], message });
  };
  const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
  return logger;
}
