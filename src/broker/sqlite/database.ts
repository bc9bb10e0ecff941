/**
 * The file: opened by one process at a time, written in transactions, never half.
 *
 * WAL with `synchronous = FULL`: a commit that was acknowledged is on the disk. Exclusive locking:
 * the operating system's file lock is held from open to close and goes with the process, so a second
 * owner is refused at once and a killed owner leaves nothing to clean up.
 */
import { existsSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { HoldfastError } from "../../errors/index.ts";
import { APPLICATION_ID, MIGRATIONS, SCHEMA, SCHEMA_VERSION } from "./schema.ts";

const MEMORY_FILE = ":memory:";
/** Pages in the log before they are moved into the file: fewer, larger moves. */
const CHECKPOINT_PAGES = 2_000;
const PAGE_BYTES = 4_096;
const CACHE_KIB = 65_536;

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

export type Row = Record<string, SQLOutputValue>;

export class Database {
  readonly file: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #syncing = true;

  /** Errors: BROKER_OWNED, STORE_TOO_NEW, STORE_CORRUPT, STORE_FULL, STORE_FAILED. */
  constructor(file: string, options: { readonly maxPages?: number } = {}) {
    this.file = file;
    const isNew = file === MEMORY_FILE || !existsSync(file);
    try {
      this.#db = new DatabaseSync(file);
    } catch (error) {
      throw this.#translate(error);
    }
    try {
      this.#prepareFile(isNew, options.maxPages);
    } catch (error) {
      this.#db.close();
      throw error instanceof HoldfastError ? error : this.#translate(error);
    }
  }

  #prepareFile(isNew: boolean, maxPages: number | undefined): void {
    this.#db.exec("PRAGMA locking_mode = EXCLUSIVE");
    if (isNew) this.#db.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
    this.#db.exec("PRAGMA journal_mode = WAL");
    this.#db.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA temp_store = MEMORY;
    `);
    if (maxPages !== undefined) this.#db.exec(`PRAGMA max_page_count = ${maxPages}`);
    // Takes the write lock, and with it the ownership, now rather than at the first change.
    this.#db.exec("BEGIN EXCLUSIVE");
    const version = this.#pragma("user_version");
    const application = this.#pragma("application_id");
    const tables = Number(this.#db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]);
    if (tables === 0) {
      this.#db.exec(SCHEMA);
      this.#db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}`);
    } else if (application !== APPLICATION_ID) {
      throw new HoldfastError("STORE_CORRUPT", { file: this.file, problem: "it belongs to another program" });
    } else if (version > SCHEMA_VERSION) {
      throw new HoldfastError("STORE_TOO_NEW", { file: this.file, found: version, known: SCHEMA_VERSION });
    } else {
      this.#migrate(version);
    }
    this.#db.exec("COMMIT");
  }

  /** Part of the transaction that takes the file over: a crash leaves the old version whole. */
  #migrate(version: number): void {
    if (version === SCHEMA_VERSION) return;
    for (let next = version + 1; next <= SCHEMA_VERSION; next += 1) {
      for (const statement of MIGRATIONS.get(next) ?? []) this.#db.exec(statement);
    }
    this.#db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  }

  #pragma(name: string): number {
    return Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name]);
  }

  /** Runs a statement that changes rows; returns how many. `sql` must be a constant: it is prepared once. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  /** Like `run`, and returns the row id that was inserted. */
  insert(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).lastInsertRowid);
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepared(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepared(sql).all(...values);
  }

  /**
   * Runs `action` in one transaction: all of it is stored, or, when it throws, nothing.
   * `durable: false` lets the operating system write later; the order of commits is kept.
   */
  transaction(durable: boolean, action: () => void): void {
    try {
      if (this.#syncing !== durable) {
        this.#db.exec(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
        this.#syncing = durable;
      }
      this.#db.exec("BEGIN");
      action();
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#rollBack();
      throw error instanceof HoldfastError ? error : this.#translate(error);
    }
  }

  /** Moves the log into the file, so that the file's size tells what is stored. */
  checkpoint(): void {
    this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #rollBack(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
  }

  #translate(error: unknown): HoldfastError {
    const problem = error instanceof Error ? error.message : String(error);
    const number = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
    const cause = { cause: error };
    if (number === SQLITE_BUSY) return new HoldfastError("BROKER_OWNED", { file: this.file, owner: "" }, cause);
    if (number === SQLITE_FULL) return new HoldfastError("STORE_FULL", { file: this.file, what: "the disk" }, cause);
    if (number === SQLITE_NOTADB || number === SQLITE_CORRUPT)
      return new HoldfastError("STORE_CORRUPT", { file: this.file, problem }, cause);
    if (number > 0) return new HoldfastError("STORE_FAILED", { file: this.file, problem }, cause);
    return new HoldfastError("INTERNAL", { problem }, cause);
  }
}
