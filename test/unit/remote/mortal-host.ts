/** Hosts of one store that die without a word, and a client that finds the next one. */
import type { Broker, ClaimReply, Lease, Outcome } from "../../../src/broker/contract.ts";
import type { ConnectRemoteOptions } from "../../../src/broker/remote/connect.ts";
import { systemClock } from "../../../src/util/clock.ts";
import { type Belongings, type Cable, gate, type TinyBroker } from "./support.ts";

export function completed({ executionId, task, token }: Lease): Outcome {
  return { kind: "completed", lease: { executionId, task, token }, durationMs: 1, result: "{}" };
}

/** A store that outlives its hosts. Of a host that is dead nothing is heard, and nothing reaches the store. */
export class MortalHosts {
  readonly client: Broker;
  readonly #belongings: Belongings;
  readonly #tiny: TinyBroker;
  readonly #changes: Partial<Broker>;
  readonly #cable: Cable;
  #die: () => void;

  private constructor(parts: {
    readonly client: Broker;
    readonly belongings: Belongings;
    readonly tiny: TinyBroker;
    readonly changes: Partial<Broker>;
    readonly cable: Cable;
    readonly die: () => void;
  }) {
    this.client = parts.client;
    this.#belongings = parts.belongings;
    this.#tiny = parts.tiny;
    this.#changes = parts.changes;
    this.#cable = parts.cable;
    this.#die = parts.die;
  }

  /** `changes`: what the hosts' broker does otherwise than the store. */
  static async start(
    belongings: Belongings,
    tiny: TinyBroker,
    options: { readonly changes?: Partial<Broker>; readonly client?: Partial<ConnectRemoteOptions> } = {},
  ): Promise<MortalHosts> {
    const changes = options.changes ?? {};
    const { port, die } = await bear(belongings, tiny, changes);
    const cable = await belongings.cable(`ws://127.0.0.1:${port}`);
    const client = await belongings.connect(cable.url, { reconnect: { baseMs: 1, maxMs: 5 }, ...options.client });
    return new MortalHosts({ client, belongings, tiny, changes, cable, die });
  }

  get connections(): number {
    return this.#cable.connections;
  }

  /** From now on the client hears nothing of what the host says. */
  deafen(): void {
    this.#cable.deafClient = true;
  }

  /** The host dies, and who answers in its place knows nobody. */
  async crashToStranger(): Promise<void> {
    this.#die();
    const stranger = await this.#belongings.serve(this.#tiny.broker, { access: async () => undefined });
    this.#cable.port = Number(new URL(stranger.url).port);
    this.#cable.cut();
  }

  /** The host dies, and another one takes over. */
  async crash(changes: Partial<Broker> = this.#changes): Promise<void> {
    this.#die();
    const { port, die } = await bear(this.#belongings, this.#tiny, changes);
    this.#die = die;
    this.#cable.port = port;
    this.#cable.deafClient = false;
    this.#cable.cut();
  }
}

async function bear(
  belongings: Belongings,
  tiny: TinyBroker,
  changes: Partial<Broker>,
): Promise<{ readonly port: number; readonly die: () => void }> {
  const death = gate();
  let isDead = false;
  const never = new Promise<never>(() => undefined);
  const served: Broker = { ...tiny.broker, ...changes };
  // Waits here, not in the store: a dead host's claim must not be granted.
  const claim: Broker["claim"] = async (params) => {
    if (params.waitMs > 0) await Promise.race([work(tiny, params.waitMs), death.opened]);
    return isDead ? never : served.claim({ ...params, waitMs: 0 });
  };
  const broker: Broker = {
    ...served,
    claim,
    openSession: (params) => (isDead ? never : served.openSession(params)),
    heartbeat: (params) => (isDead ? never : served.heartbeat(params)),
    commit: (params) => (isDead ? never : served.commit(params)),
    reconcile: (params) => (isDead ? never : served.reconcile(params)),
    closeSession: (params) => (isDead ? never : served.closeSession(params)),
  };
  const host = await belongings.serve(broker, { socketGraceMs: 60_000 });
  const die = (): void => {
    isDead = true;
    death.open();
  };
  belongings.keep(die);
  return { port: Number(new URL(host.url).port), die };
}

/** Resolves when there is work or the time is over. */
async function work(tiny: TinyBroker, waitMs: number): Promise<void> {
  if (tiny.queued.length > 0) return;
  let cancelTimer = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    cancelTimer = systemClock().schedule(waitMs, resolve);
  });
  await Promise.race([tiny.until(() => tiny.queued.length > 0), over]);
  cancelTimer();
}

/** A worker's loop: claims, commits, and claims again with every commit. */
export async function workUntil(client: Broker, session: string, isDone: () => boolean): Promise<ClaimReply> {
  let reply = await client.claim({ session, max: 20, waitMs: 20 });
  while (!isDone()) {
    const outcomes = reply.leases.map(completed);
    reply =
      outcomes.length > 0
        ? await client.commit({ session, outcomes, claim: { max: 20, waitMs: 0 } })
        : await client.claim({ session, max: 20, waitMs: 20 });
  }
  return reply;
}
