/**
 * Tokens, kept as values of the broker's state store, so that all servers on one broker share them.
 *
 *   holdfast:token:ID    what a token may do, and the digest of its secret
 *   holdfast:tokens      written after every change of a token: its version says whether to look again
 *   holdfast:token-first who is making the very first token
 *
 * Every request shows a token, so all tokens are kept in memory: one read of `holdfast:tokens` a
 * second at most tells whether they are still what they were, however many requests come. So a
 * revocation counts on every server within LOOK_EVERY_MS after it was answered; an expiry at once,
 * by the clock of each server. A token that is not known yet may have been made on another server a
 * moment ago: before it is refused, the store is asked again, by one read for all that wait.
 *
 * A crash between a change and the note of it leaves other servers with the old state until
 * RELOAD_EVERY_MS has passed, and the caller without an answer: a repeat of the call notes it.
 */
import { timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { type Role, ROLES } from "../../api/operation.ts";
import type { Broker } from "../../broker/contract.ts";
import { MAX_PAGE, RESERVED_PREFIX } from "../../broker/limits.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Clock } from "../../util/clock.ts";
import { digestOf, parseToken, tokenText } from "./token-text.ts";

export type ValueStore = Pick<Broker, "readValue" | "writeValue" | "deleteValue" | "listValues">;

export interface TokenStoreOptions {
  readonly store: ValueStore;
  readonly clock: Clock;
  /** Letters in lower case, digits and dashes. */
  readonly newId: () => string;
  /** At least 192 bits that nobody can guess, in base64url. */
  readonly newSecret: () => string;
}

export interface NewToken {
  readonly name: string;
  readonly role: Role;
  /** Only for workers. Absent: all pools. */
  readonly pools?: readonly string[];
  /** Absent: never. */
  readonly expiresInMs?: number;
  /** Who makes it, for the list. */
  readonly createdBy: string;
}

/** What may be told of a token. */
export interface TokenView {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly pools?: readonly string[];
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt?: number;
  readonly expired: boolean;
}

export interface MadeToken extends TokenView {
  /** The token itself: it cannot be told again. */
  readonly token: string;
}

export type Verdict = { readonly token: TokenView } | { readonly refused: "unknown" | "expired" };

/** A revoked token is refused on every server within this time. */
export const LOOK_EVERY_MS = 1_000;
const RELOAD_EVERY_MS = 60_000;
/** Tokens of one broker. */
export const MAX_TOKENS = 10_000;
/** An expired token is listed, and told from an unknown one, for a week. */
const KEPT_EXPIRED_MS = 7 * 86_400_000;
/** Whoever makes the first token has this long before another server tries. */
const FIRST_TTL_MS = 30_000;

const TOKEN_PREFIX = `${RESERVED_PREFIX}token:`;
const CHANGES_KEY = `${RESERVED_PREFIX}tokens`;
const FIRST_KEY = `${RESERVED_PREFIX}token-first`;
const NO_DIGEST = Buffer.alloc(32);

const storedToken = z.object({
  name: z.string(),
  role: z.enum(ROLES),
  pools: z.array(z.string()).optional(),
  digest: z.string().regex(/^[\da-f]{64}$/),
  createdAt: z.number(),
  createdBy: z.string(),
  expiresAt: z.number().optional(),
});

type StoredToken = z.output<typeof storedToken>;

interface KnownToken {
  readonly stored: StoredToken;
  readonly digest: Buffer;
}

export class TokenStore {
  readonly #options: TokenStoreOptions;
  #tokens: ReadonlyMap<string, KnownToken> = new Map();
  /** Version of CHANGES_KEY that `#tokens` is at least as new as; undefined before the first look. */
  #version: number | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #look: Promise<void> | undefined;
  /** A look that begins when the one under way has ended. */
  #nextLook: Promise<void> | undefined;

  constructor(options: TokenStoreOptions) {
    this.#options = options;
  }

  /** Whose token this is. Errors: those of the broker. */
  async verify(text: string): Promise<Verdict> {
    const { id = "", secret = text } = parseToken(text) ?? {};
    const digest = digestOf(secret);
    await this.#fresh();
    if (!this.#matches(id, digest)) {
      // What cannot be a token of ours is not worth a question.
      if (id !== "") await this.#lookAgain();
      if (!this.#matches(id, digest)) return { refused: "unknown" };
    }
    const token = this.#view(id);
    if (token === undefined) return { refused: "unknown" };
    return token.expired ? { refused: "expired" } : { token };
  }

  /** Whether a token that was good still is. Errors: those of the broker. */
  async isGood(id: string): Promise<boolean> {
    await this.#fresh();
    return this.#view(id)?.expired === false;
  }

  /** Oldest first. Errors: those of the broker. */
  async list(): Promise<readonly TokenView[]> {
    await this.#lookAgain();
    const views = [...this.#tokens.keys()].map((id) => this.#view(id)).filter((view) => view !== undefined);
    return views.toSorted((one, other) => one.createdAt - other.createdAt || one.id.localeCompare(other.id, "en"));
  }

  /** Errors: INVALID_REQUEST where there are too many, and those of the broker. */
  async create(wanted: NewToken): Promise<MadeToken> {
    const { store, clock, newId, newSecret } = this.#options;
    await this.#lookAgain();
    if (this.#tokens.size >= MAX_TOKENS) {
      const problem = `there are ${MAX_TOKENS} tokens already; revoke some`;
      throw new HoldfastError("INVALID_REQUEST", { method: "createToken", path: "name", problem });
    }
    const { name, role, pools, expiresInMs, createdBy } = wanted;
    const [id, secret, createdAt] = [newId(), newSecret(), clock.now()];
    const expiry = expiresInMs === undefined ? {} : { expiresAt: createdAt + expiresInMs };
    const limits = pools === undefined ? {} : { pools: [...pools] };
    const facts = { name, role, ...limits, createdAt, createdBy, ...expiry };
    const stored: StoredToken = { ...facts, digest: digestOf(secret).toString("hex") };
    await store.writeValue({
      key: TOKEN_PREFIX + id,
      value: JSON.stringify(stored),
      ttlMs: expiresInMs === undefined ? null : expiresInMs + KEPT_EXPIRED_MS,
      ifVersion: 0,
    });
    await this.#noteChange();
    return { id, ...facts, expired: false, token: tokenText({ id, secret }) };
  }

  /** Errors: TOKEN_NOT_FOUND, and those of the broker. */
  async revoke(id: string): Promise<void> {
    const { deleted } = await this.#options.store.deleteValue({ key: TOKEN_PREFIX + id });
    // Also where there was none: whoever deleted it may not have come to say so.
    await this.#noteChange();
    if (!deleted) throw new HoldfastError("TOKEN_NOT_FOUND", { token: id });
  }

  /**
   * Makes an administrator's token if there is no token at all; of servers that start at the same
   * time one makes it. Undefined where there are tokens, or another server makes it.
   */
  async createFirst(createdBy: string): Promise<MadeToken | undefined> {
    const { store } = this.#options;
    if ((await this.list()).length > 0) return undefined;
    try {
      await store.writeValue({ key: FIRST_KEY, value: "{}", ttlMs: FIRST_TTL_MS, ifVersion: 0 });
    } catch (thrown) {
      if (HoldfastError.is(thrown, "VERSION_CONFLICT")) return undefined;
      throw thrown;
    }
    // Whoever had the key before may have made one since we looked.
    if ((await this.list()).length > 0) return undefined;
    return this.create({ name: "first", role: "admin", createdBy });
  }

  #matches(id: string, digest: Buffer): boolean {
    const known = this.#tokens.get(id);
    // The same work for ids that nobody has.
    const isSame = timingSafeEqual(digest, known?.digest ?? NO_DIGEST);
    return isSame && known !== undefined;
  }

  #view(id: string): TokenView | undefined {
    const stored = this.#tokens.get(id)?.stored;
    if (stored === undefined) return undefined;
    const { name, role, pools, createdAt, createdBy, expiresAt } = stored;
    return {
      id,
      name,
      role,
      ...(pools === undefined ? {} : { pools }),
      createdAt,
      createdBy,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      expired: expiresAt !== undefined && expiresAt <= this.#options.clock.now(),
    };
  }

  async #noteChange(): Promise<void> {
    await this.#options.store.writeValue({ key: CHANGES_KEY, value: "{}", ttlMs: null });
    await this.#lookAgain();
  }

  /** Resolves when what is known was so less than LOOK_EVERY_MS ago. */
  #fresh(): Promise<void> | undefined {
    if (this.#options.clock.now() - this.#lookedAt < LOOK_EVERY_MS) return undefined;
    return (this.#look ??= this.#startLook());
  }

  /** Resolves after a look that began later than this call. */
  #lookAgain(): Promise<void> {
    const under = this.#look;
    if (under === undefined) return (this.#look = this.#startLook());
    this.#nextLook ??= under
      .catch(() => undefined)
      .then(() => {
        this.#nextLook = undefined;
        return (this.#look ??= this.#startLook());
      });
    return this.#nextLook;
  }

  #startLook(): Promise<void> {
    const look = this.#lookNow().finally(() => {
      if (this.#look === look) this.#look = undefined;
    });
    return look;
  }

  async #lookNow(): Promise<void> {
    const { store, clock } = this.#options;
    const now = clock.now();
    const { value } = await store.readValue({ key: CHANGES_KEY });
    const version = value?.version ?? 0;
    if (version !== this.#version || now - this.#loadedAt >= RELOAD_EVERY_MS) {
      this.#tokens = await this.#load();
      this.#version = version;
      this.#loadedAt = now;
    }
    this.#lookedAt = now;
  }

  async #load(): Promise<ReadonlyMap<string, KnownToken>> {
    const tokens = new Map<string, KnownToken>();
    let after: string | undefined;
    do {
      const page = await this.#options.store.listValues({
        prefix: TOKEN_PREFIX,
        limit: MAX_PAGE,
        ...(after === undefined ? {} : { after }),
      });
      for (const { key, value } of page.values) {
        const stored = readStored(value);
        if (stored === undefined) continue;
        tokens.set(key.slice(TOKEN_PREFIX.length), { stored, digest: Buffer.from(stored.digest, "hex") });
      }
      after = page.next;
    } while (after !== undefined && tokens.size < MAX_TOKENS);
    return tokens;
  }
}

/** Undefined for what another version of this program has written in a way that this one does not know. */
function readStored(text: string): StoredToken | undefined {
  try {
    const parsed = storedToken.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
