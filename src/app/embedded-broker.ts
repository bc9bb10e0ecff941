/**
 * A broker on a file that several processes share: one of them owns the file, the others are its
 * guests, and the death of the owner is survived by all.
 *
 * States of one process: `owner` (calls go straight to the file) · `guest` (calls travel to the
 * owner) · `closed`. A guest becomes the owner when the owner is gone; an owner stays the owner until
 * it closes. A call that was under way when the owner died is sent again by the remote broker
 * underneath, to the next owner or to ourselves; repeats are harmless by contract.
 *
 * Who owns the file is decided by the file's lock and by nothing else. Before every attempt to
 * connect, a guest tries the lock first and reads the owner's note second. So:
 *  - Many guests of a dead owner: the lock lets one through; the others find its note, or none yet,
 *    and come again shortly.
 *  - Two processes start at once: the same.
 *  - A stale note (killed owner): if the lock is free, we own and overwrite it. If another has just
 *    taken the lock and not yet written, we may dial a dead port, fail, and come again. A note whose
 *    process is gone is not dialled at all, because its port may be somebody else's by now.
 *  - The connection breaks but the owner lives: the lock is refused, the note still holds.
 *  - The owner is stopped (SIGSTOP) or hangs: it holds the lock, so nobody may take over; calls fail
 *    with BROKER_UNREACHABLE after `giveUpAfterMs`, and nothing is lost.
 *  - The owner closes in order: it removes its note before it lets go of the lock, so a note is never
 *    removed by anybody but its writer or overwritten by anybody but the lock's next holder.
 *  - We are closed while we take over: what was taken is given back.
 *
 * A crash of a guest costs nobody anything. A crash of the owner costs what unacknowledged calls
 * were, which are sent again.
 */
import { type Broker, BROKER_METHODS, type BrokerMethod } from "../broker/contract.ts";
import { type BrokerAddress, connectRemoteBroker } from "../broker/remote/connect.ts";
import { HoldfastError } from "../errors/index.ts";
import type { BrokerHome } from "./broker-address.ts";
import { type OwnerNote, readOwnerNote } from "./owner-file.ts";
import { type Ownership, type OwnershipOptions, takeOwnership } from "./ownership.ts";

export interface EmbeddedBroker extends Broker {
  /** Whether this process owns the file now. */
  readonly isOwner: boolean;
  /** Where the owner is reached, and by which token; undefined while a guest does not know. */
  address(): Promise<BrokerAddress | undefined>;
}

export interface EmbeddedBrokerOptions extends OwnershipOptions {
  /** Refuse with BROKER_OWNED where another process owns the file, instead of becoming its guest. */
  readonly mustOwn?: boolean;
  /** A call that found no owner for this long fails with BROKER_UNREACHABLE. */
  readonly giveUpAfterMs?: number;
}

const RECONNECT = { baseMs: 20, maxMs: 500 };
const CONNECT_TIMEOUT_MS = 5_000;
const GIVE_UP_AFTER_MS = 30_000;

type Call = (params: unknown) => Promise<unknown>;

/**
 * Owns the file, or joins the process that does.
 *
 * @throws HoldfastError STORE_TOO_NEW, STORE_CORRUPT, STORE_FULL, STORE_FAILED, LISTEN_FAILED,
 * BROKER_UNREACHABLE; BROKER_OWNED with `mustOwn`.
 */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const shared = new SharedFile(options);
  await shared.open();
  const methods = Object.fromEntries(
    BROKER_METHODS.map((method) => [method, async (params: unknown) => (shared.target()[method] as Call)(params)]),
  ) as unknown as Pick<Broker, BrokerMethod>;
  return {
    ...methods,
    get features() {
      return shared.target().features;
    },
    get isOwner() {
      return shared.isOwner;
    },
    address: () => shared.address(),
    close: () => shared.close(),
  };
}

/**
 * Where the owner of a file is; for processes that never own it, such as workers.
 *
 * @throws HoldfastError BROKER_UNREACHABLE while nobody owns it.
 */
export async function findOwner(home: BrokerHome): Promise<BrokerAddress> {
  const note = await readOwnerNote(home.ownerFile);
  if (note !== undefined && isAlive(note)) return { url: note.url, token: note.token };
  const problem = "no process owns it now; start one with `holdfast up`";
  throw new HoldfastError("BROKER_UNREACHABLE", { url: home.file, problem });
}

class SharedFile {
  readonly #options: EmbeddedBrokerOptions;
  #own: Ownership | undefined;
  #guest: Broker | undefined;
  #taking: Promise<Ownership | undefined> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: EmbeddedBrokerOptions) {
    this.#options = options;
  }

  get isOwner(): boolean {
    return this.#own !== undefined;
  }

  /** Where calls go. Calls under way at a takeover stay with the guest's connection, which then leads to us. */
  target(): Broker {
    const target = this.#own?.broker ?? this.#guest;
    if (target === undefined || this.#closing !== undefined) throw new HoldfastError("BROKER_CLOSED");
    return target;
  }

  async open(): Promise<void> {
    const { clock, random, logger, mustOwn, giveUpAfterMs = GIVE_UP_AFTER_MS } = this.#options;
    if (mustOwn === true) {
      this.#own = await takeOwnership(this.#options);
      return;
    }
    if ((await this.#tryToOwn()) !== undefined) return;
    this.#guest = await connectRemoteBroker({
      url: () => this.#ownerOrSelf(),
      clock,
      random,
      logger,
      reconnect: RECONNECT,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      giveUpAfterMs,
    });
  }

  async address(): Promise<BrokerAddress | undefined> {
    if (this.#own !== undefined) return this.#own.address;
    const note = await readOwnerNote(this.#options.home.ownerFile);
    return note === undefined ? undefined : { url: note.url, token: note.token };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    // The guest's connection first: it may lead to our own server, which waits for its clients.
    await this.#guest?.close();
    // A takeover that failed has given back what it had, and has told whoever asked for it.
    await this.#taking?.catch(() => undefined);
    await this.#own?.release();
  }

  /** Asked by the remote broker before every attempt to connect. */
  async #ownerOrSelf(): Promise<BrokerAddress> {
    const own = this.#own ?? (await this.#tryToOwn());
    if (own !== undefined) return own.address;
    const { home } = this.#options;
    const note = await readOwnerNote(home.ownerFile);
    if (note !== undefined && isAlive(note)) return { url: note.url, token: note.token };
    throw new HoldfastError("BROKER_UNREACHABLE", {
      url: home.file,
      problem: "its owner is only starting, or on another machine",
    });
  }

  /** Our ownership, or undefined when another process holds the file. */
  #tryToOwn(): Promise<Ownership | undefined> {
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  async #take(): Promise<Ownership | undefined> {
    if (this.#closing !== undefined) throw new HoldfastError("BROKER_CLOSED");
    let own: Ownership;
    try {
      own = await takeOwnership(this.#options);
    } catch (thrown) {
      if (HoldfastError.is(thrown, "BROKER_OWNED")) return undefined;
      throw thrown;
    }
    if (this.#guest !== undefined)
      this.#options.logger.warn(
        { file: this.#options.home.file },
        "the broker's owner is gone; this process has taken over",
      );
    // `close` waits for us and releases what it finds.
    this.#own = own;
    return own;
  }
}

/** Whether the process that wrote the note lives, as far as this machine can tell. */
function isAlive(note: OwnerNote): boolean {
  try {
    process.kill(note.pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}
