/**
 * Which server holds our slot now. A standalone server is where it is; sentinels are asked for the
 * master's address, nodes of a cluster for the master of the slot.
 *
 * Those who are asked may be dead, or cut off and out of date. So they are asked in turn, and who
 * was asked goes to the end of the row: when what it said turns out to be of no use, the next
 * search asks another one first. Only the server itself can say that it is a master; link.ts asks.
 */
import { type Connection, type ConnectionOptions, dial, type Reply } from "./connection.ts";
import { isLasting, LinkBroken, RedisRefusal } from "./link-errors.ts";
import { describeNode, type RedisNode, type RedisTarget } from "./target.ts";

export class MasterFinder {
  readonly #target: RedisTarget;
  readonly #slot: number;
  readonly #dialling: Omit<ConnectionOptions, "node" | "db">;
  /** Whom to ask, the next one first. */
  #row: RedisNode[];

  constructor(options: {
    readonly target: RedisTarget;
    readonly slot: number;
    readonly dialling: Omit<ConnectionOptions, "node" | "db">;
  }) {
    this.#target = options.target;
    this.#slot = options.slot;
    this.#dialling = options.dialling;
    this.#row = [...options.target.nodes];
  }

  /** Rejects with a lasting RedisRefusal, or LinkBroken when nobody knew or could be asked. */
  find(): Promise<RedisNode> {
    switch (this.#target.mode) {
      case "standalone":
        return this.#standalone();
      case "sentinel":
        return this.#askInTurn((connection) => this.#masterBySentinel(connection));
      case "cluster":
        return this.#askInTurn((connection) => this.#masterOfSlot(connection));
      default:
        return this.#target.mode satisfies never;
    }
  }

  /** A node named our slot's new owner (`MOVED 123 host:port`): it is asked next. */
  follow(problem: string): void {
    const moved = /\bMOVED \d+ (\S*):(\d+)/.exec(problem);
    if (this.#target.mode !== "cluster" || moved === null || moved[1] === undefined || moved[1] === "") return;
    this.#putFirst({ host: moved[1], port: Number(moved[2]) });
  }

  async #standalone(): Promise<RedisNode> {
    const node = this.#target.nodes[0];
    if (node === undefined) throw new LinkBroken("no server is named", false);
    return node;
  }

  async #askInTurn(ask: (connection: Connection) => Promise<RedisNode>): Promise<RedisNode> {
    const problems: string[] = [];
    let refusal: RedisRefusal | undefined;
    for (const node of [...this.#row]) {
      this.#putLast(node);
      try {
        const connection = await dial({ ...this.#dialling, ...this.#credentials(), node, db: 0 });
        try {
          return await ask(connection);
        } finally {
          connection.cut("asked");
        }
      } catch (thrown) {
        if (this.#dialling.signal.aborted) throw thrown;
        if (thrown instanceof RedisRefusal && isLasting(thrown)) refusal = thrown;
        problems.push(thrown instanceof Error ? thrown.message : String(thrown));
      }
    }
    throw refusal ?? new LinkBroken(problems.join("; "), false);
  }

  #credentials(): Pick<ConnectionOptions, "username" | "password"> {
    const { mode, username, password, sentinelUsername, sentinelPassword } = this.#target;
    return mode === "sentinel" ? { username: sentinelUsername, password: sentinelPassword } : { username, password };
  }

  async #masterBySentinel(connection: Connection): Promise<RedisNode> {
    const name = this.#target.masterName ?? "";
    const reply = await connection.send(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]);
    const asked = describeNode(connection.node);
    if (!Array.isArray(reply)) throw new LinkBroken(`sentinel ${asked} knows no master named ${name}`, false);
    return { host: String(reply[0]), port: Number(reply[1]) };
  }

  async #masterOfSlot(connection: Connection): Promise<RedisNode> {
    const reply = await connection.send(["CLUSTER", "SLOTS"]);
    const ranges = Array.isArray(reply) ? reply.map((range) => slotRange(range, connection.node)) : [];
    this.#learn(ranges.flatMap(({ nodes }) => nodes));
    const ours = ranges.find(({ first, last }) => first <= this.#slot && this.#slot <= last);
    const master = ours?.nodes[0];
    if (master === undefined)
      throw new LinkBroken(`${describeNode(connection.node)} knows no owner of slot ${this.#slot}`, false);
    return master;
  }

  /** Asks those that are there now, and those that were named to us. */
  #learn(there: readonly RedisNode[]): void {
    const known = [...there, ...this.#target.nodes];
    const kept = this.#row.filter((node) => known.some((other) => isSame(node, other)));
    const added = there.filter((node) => !kept.some((other) => isSame(node, other)));
    this.#row = [...added, ...kept];
  }

  #putFirst(node: RedisNode): void {
    this.#row = [node, ...this.#row.filter((other) => !isSame(node, other))];
  }

  #putLast(node: RedisNode): void {
    this.#row = [...this.#row.filter((other) => !isSame(node, other)), node];
  }
}

interface SlotRange {
  readonly first: number;
  readonly last: number;
  /** The master first. */
  readonly nodes: readonly RedisNode[];
}

/** `[first, last, [host, port, id, …], …]`. A node that does not know its own host leaves it empty. */
function slotRange(reply: Reply, asked: RedisNode): SlotRange {
  const [first, last, ...nodes] = Array.isArray(reply) ? reply : [];
  return {
    first: Number(first),
    last: Number(last),
    nodes: nodes.filter(Array.isArray).map(([host, port]) => ({
      host: typeof host === "string" && host !== "" && host !== "?" ? host : asked.host,
      port: Number(port),
    })),
  };
}

function isSame(one: RedisNode, other: RedisNode): boolean {
  return one.host === other.host && one.port === other.port;
}
