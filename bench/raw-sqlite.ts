/**
 * The bare thing to compare with: one table of tasks and one of results in node:sqlite, claimed and
 * completed in batches. No leases, retries, events, fairness or recovery: it tells what the disk and
 * the database allow, not what a task queue can do.
 */
import path from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

export class RawQueue {
  readonly #database: DatabaseSync;
  readonly #insertTask: StatementSync;
  readonly #claim: StatementSync;
  readonly #insertResult: StatementSync;
  readonly #deleteTask: StatementSync;

  constructor(folder: string) {
    this.#database = new DatabaseSync(path.join(folder, "raw.db"));
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    this.#database.exec(`
      CREATE TABLE tasks (id INTEGER PRIMARY KEY, claimed INTEGER NOT NULL DEFAULT 0, input TEXT NOT NULL);
      CREATE INDEX waiting ON tasks (id) WHERE claimed = 0;
      CREATE TABLE results (id INTEGER PRIMARY KEY, result TEXT NOT NULL);`);
    this.#insertTask = this.#database.prepare("INSERT INTO tasks (input) VALUES (?)");
    this.#claim = this.#database.prepare(
      "UPDATE tasks SET claimed = 1 WHERE id IN (SELECT id FROM tasks WHERE claimed = 0 ORDER BY id LIMIT ?) RETURNING id, input",
    );
    this.#insertResult = this.#database.prepare("INSERT INTO results (id, result) VALUES (?, ?)");
    this.#deleteTask = this.#database.prepare("DELETE FROM tasks WHERE id = ?");
  }

  submit(inputs: readonly string[]): void {
    this.#atomically(() => {
      for (const input of inputs) this.#insertTask.run(input);
    });
  }

  /** Completes what was claimed before and claims up to `max` more, in one transaction. */
  completeAndClaim(done: readonly number[], max: number): number[] {
    return this.#atomically(() => {
      for (const id of done) {
        this.#insertResult.run(id, "null");
        this.#deleteTask.run(id);
      }
      return this.#claim.all(max).map((row) => Number(row["id"]));
    });
  }

  countResults(): number {
    return Number(this.#database.prepare("SELECT count(*) AS n FROM results").get()?.["n"]);
  }

  close(): void {
    this.#database.close();
  }

  #atomically<Result>(action: () => Result): Result {
    this.#database.exec("BEGIN IMMEDIATE");
    const result = action();
    this.#database.exec("COMMIT");
    return result;
  }
}
