/** What a server says about itself, as far as it says it: providers forbid some of it. */
import { type Link, RedisRefusal, type Reply } from "../link/link.ts";

export interface ServerTexts {
  /** Fields of INFO; undefined where the command is forbidden. */
  readonly info: ReadonlyMap<string, string> | undefined;
  /** Parameters of CONFIG GET; undefined where the command is forbidden. */
  readonly config: ReadonlyMap<string, string> | undefined;
}

const PARAMETERS = ["save", "appendonly", "appendfsync", "maxmemory-policy", "min-replicas-to-write"];

/** Errors: LinkBroken. */
export async function readServerTexts(link: Link): Promise<ServerTexts> {
  const [info, ...parameters] = await Promise.all([
    allowed(link, ["INFO"]),
    // One by one: several at once need Redis 7.
    ...PARAMETERS.map((name) => allowed(link, ["CONFIG", "GET", name])),
  ]);
  const config = new Map(parameters.flatMap(pairsOf));
  return { info: info === undefined ? undefined : fieldsOf(info), config: config.size === 0 ? undefined : config };
}

/** The reply; undefined where the server refuses to say. */
export async function allowed(link: Link, command: readonly string[]): Promise<Reply | undefined> {
  try {
    return await link.send(command);
  } catch (thrown) {
    if (thrown instanceof RedisRefusal) return undefined;
    throw thrown;
  }
}

/** Lines of `name:value`, as INFO and CLUSTER INFO answer. */
export function fieldsOf(reply: Reply): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of String(reply).split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

function pairsOf(reply: Reply | undefined): [string, string][] {
  if (!Array.isArray(reply) || typeof reply[0] !== "string") return [];
  return [[reply[0], String(reply[1])]];
}
