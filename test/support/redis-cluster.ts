/** A cluster of real Redis servers. Nodes are told what to do by commands, so that no tool is needed. */
import { eventually } from "../fixtures/sdk/scratch.ts";
import { infoField, launch, type RedisServer } from "./redis-process.ts";

const MASTERS = 3;
const SLOTS = 16_384;

/** How long a node may be silent before the others count it as failed. */
const NODE_TIMEOUT_MS = "2000";

export interface ClusterOptions {
  /** Of each master. Default 0. */
  readonly replicas?: 0 | 1;
  /** Further lines of every node's configuration file. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface RedisCluster {
  /** As they were started; each owns a third of the slots. */
  readonly masters: readonly RedisServer[];
  /** The one at place `i` follows the master at place `i`. */
  readonly replicas: readonly RedisServer[];
  /** All of them. */
  readonly nodes: readonly RedisServer[];
  /** The node that owns the key's slot now. */
  ownerOf(key: string): Promise<RedisServer>;
  /** Moves the slot, with all its keys, to another master. */
  moveSlot(slot: number, target: RedisServer): Promise<void>;
  /** Ends all nodes and removes their folders. May be called twice. */
  stop(): Promise<void>;
}

/** Starts three masters, and a replica of each if asked for. Resolves when every node finds the cluster complete. */
export async function startCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  const count = MASTERS * (1 + (options.replicas ?? 0));
  const nodes = await startNodes(count, options.config ?? {});
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const masters = nodes.slice(0, MASTERS);
  const replicas = nodes.slice(MASTERS);
  try {
    await Promise.all(masters.map(ownShare));
    await Promise.all(nodes.map((node, index) => meetOthers(node, index, nodes)));
    await eventually("every node of the cluster finds it complete", () => everyNodeAgrees(nodes));
    await Promise.all(replicas.map((replica, index) => follow(replica, masters[index] as RedisServer)));
  } catch (error) {
    await stop();
    throw error;
  }
  const ownerOf = async (key: string): Promise<RedisServer> => {
    const slot = Number(await (await anyAlive(nodes)).command("CLUSTER", "KEYSLOT", key));
    return ownerOfSlot(nodes, slot);
  };
  return { masters, replicas, nodes, ownerOf, moveSlot: (slot, target) => moveSlot(nodes, slot, target), stop };
}

async function startNodes(count: number, config: Readonly<Record<string, string>>): Promise<RedisServer[]> {
  const starts = await Promise.allSettled(
    Array.from({ length: count }, () =>
      launch({
        config: {
          save: '""',
          "cluster-enabled": "yes",
          "cluster-node-timeout": NODE_TIMEOUT_MS,
          "repl-diskless-sync-delay": "0",
          ...config,
        },
      }),
    ),
  );
  const nodes = starts.filter((start) => start.status === "fulfilled").map((start) => start.value);
  const failed = starts.find((start) => start.status === "rejected");
  if (failed === undefined) return nodes;
  await Promise.all(nodes.map((node) => node.stop()));
  throw failed.reason as Error;
}

/** By single slots and not by ranges, which Redis knows only from 7.0 on. */
async function ownShare(master: RedisServer, index: number): Promise<void> {
  const first = Math.floor((SLOTS * index) / MASTERS);
  const end = Math.floor((SLOTS * (index + 1)) / MASTERS);
  const slots = Array.from({ length: end - first }, (_, offset) => String(first + offset));
  await master.command("CLUSTER", "ADDSLOTS", ...slots);
}

/** All meet all, which is quicker than waiting for gossip; with epochs of their own there is nothing to settle. */
async function meetOthers(node: RedisServer, index: number, nodes: readonly RedisServer[]): Promise<void> {
  await node.command("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
  for (const other of nodes.slice(index + 1)) {
    await node.command("CLUSTER", "MEET", other.host, String(other.port));
  }
}

async function everyNodeAgrees(nodes: readonly RedisServer[]): Promise<boolean> {
  const infos = await Promise.all(nodes.map((node) => node.command("CLUSTER", "INFO")));
  return infos.every(
    (info) =>
      infoField(info, "cluster_state") === "ok" &&
      infoField(info, "cluster_slots_ok") === String(SLOTS) &&
      infoField(info, "cluster_known_nodes") === String(nodes.length),
  );
}

async function follow(replica: RedisServer, master: RedisServer): Promise<void> {
  await replica.command("CLUSTER", "REPLICATE", String(await master.command("CLUSTER", "MYID")));
  await eventually("a replica of the cluster has its master's data", async () => {
    return infoField(await replica.command("INFO", "replication"), "master_link_status") === "up";
  });
}

async function anyAlive(nodes: readonly RedisServer[]): Promise<RedisServer> {
  for (const node of nodes) {
    const answer = await node.command("PING").catch(() => undefined);
    if (answer !== undefined) return node;
  }
  throw new Error("no node of the cluster answers");
}

/** As a node that answers sees it. */
async function ownerOfSlot(nodes: readonly RedisServer[], slot: number): Promise<RedisServer> {
  type Range = readonly [first: number, last: number, master: readonly [host: string, port: number]];
  const ranges = (await (await anyAlive(nodes)).command("CLUSTER", "SLOTS")) as readonly Range[];
  const range = ranges.find(([first, last]) => first <= slot && slot <= last);
  const owner = nodes.find((node) => node.port === range?.[2][1]);
  if (owner === undefined) throw new Error(`no node of the cluster owns slot ${slot}`);
  return owner;
}

async function moveSlot(nodes: readonly RedisServer[], slotNumber: number, target: RedisServer): Promise<void> {
  const slot = String(slotNumber);
  const source = await ownerOfSlot(nodes, slotNumber);
  if (source === target) return;
  const [sourceId, targetId] = await Promise.all([
    source.command("CLUSTER", "MYID"),
    target.command("CLUSTER", "MYID"),
  ]);
  await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", String(sourceId));
  await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", String(targetId));
  for (;;) {
    const keys = (await source.command("CLUSTER", "GETKEYSINSLOT", slot, "100")) as readonly string[];
    if (keys.length === 0) break;
    await source.command("MIGRATE", target.host, String(target.port), "", "0", "10000", "KEYS", ...keys);
  }
  // The target first: should the source be told first, nobody would own the slot for a moment.
  await target.command("CLUSTER", "SETSLOT", slot, "NODE", String(targetId));
  await source.command("CLUSTER", "SETSLOT", slot, "NODE", String(targetId));
}
