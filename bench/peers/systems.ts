/** The systems that are compared. */
import { bullmq } from "./bullmq.ts";
import type { Peer, SystemName } from "./peer.ts";
import { raw } from "./raw.ts";
import { holdfast } from "./holdfast.ts";

export const PEERS: readonly Peer[] = [holdfast, bullmq, raw];

export function peerNamed(system: SystemName): Peer {
  const found = PEERS.find((peer) => peer.system === system);
  if (found === undefined) throw new Error(`There is no system ${system}.`);
  return found;
}
