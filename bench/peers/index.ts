/**
 * `npm run bench -- --peers`: Holdfast, BullMQ and bare Redis on the same server, one after the other.
 *
 *   [--aof no,everysec,always] [--system NAME …] [--measure NAME …] [--rounds N] [--tasks N] [--json FILE]
 *
 * Each setting of the journal gets a server of its own. In every round each system has its turn, in
 * an order that rotates, so that a bad minute of the machine hits all of them; ratios are taken
 * within a round and only then put together.
 */
import type { BenchContext, Row } from "../measure.ts";
import type { Peer } from "./peer.ts";
import { DURABILITIES, type Durability, RedisServer } from "./redis-server.ts";
import { type PeerSample, rowsOf } from "./rows.ts";
import { PEERS } from "./systems.ts";
import { PEER_MEASURES, takeTurn } from "./turn.ts";

const DEFAULT_ROUNDS = 5;
const DEFAULT_TASKS = 100_000;

/** As the command line has them; absent: all, or the default. */
export interface PeerFlags {
  readonly aof: string | undefined;
  readonly systems: readonly string[] | undefined;
  readonly measures: readonly string[] | undefined;
  readonly rounds: number | undefined;
  /** Of one throughput run. */
  readonly tasks: number | undefined;
}

export interface PeerReport {
  readonly rows: readonly Row[];
  readonly redisVersion: string;
}

export async function comparePeers(flags: PeerFlags, context: BenchContext): Promise<PeerReport> {
  const durabilities = chosen<Durability>("setting", DURABILITIES, flags.aof?.split(","));
  const systems = chosen(
    "system",
    PEERS.map(({ system }) => system),
    flags.systems,
  );
  const measures = chosen("measure", PEER_MEASURES, flags.measures);
  const rounds = flags.rounds ?? DEFAULT_ROUNDS;
  const peers = PEERS.filter(({ system }) => systems.includes(system));
  const samples: PeerSample[] = [];
  let redisVersion = "?";
  for (const durability of durabilities) {
    const setting = `aof=${durability}`;
    const server = await RedisServer.start(durability, context.folder());
    try {
      redisVersion = await server.version();
      for (let round = 1; round <= rounds; round += 1) {
        for (const peer of rotated(peers, round)) {
          context.progress(`${setting}: round ${round} of ${rounds}: ${peer.system}`);
          const figures = await takeTurn(
            { server, peer, concurrency: 1, tasks: flags.tasks ?? DEFAULT_TASKS },
            measures,
          );
          samples.push(...figures.map((figure) => ({ ...figure, setting, round })));
        }
      }
    } finally {
      await server.stop();
    }
  }
  return { rows: rowsOf(samples, measures), redisVersion };
}

/** The known names that are asked for, in their own order. */
function chosen<Name extends string>(
  kind: string,
  known: readonly Name[],
  asked: readonly string[] | undefined,
): Name[] {
  const unknown = asked?.find((name) => !known.some((candidate) => candidate === name));
  if (unknown !== undefined) throw new Error(`There is no ${kind} ${unknown}; there are ${known.join(", ")}.`);
  return known.filter((name) => asked?.includes(name) ?? true);
}

function rotated(peers: readonly Peer[], by: number): Peer[] {
  const first = by % peers.length;
  return [...peers.slice(first), ...peers.slice(0, first)];
}
