/** Dead letters by id and by query: finding them, and doing something to many of them in bounded steps. */
import type { ChosenLetters, LetterView } from "../api/operations/dead-letters.ts";
import type { Broker, DeadLetter, LetterRef, LettersParams, LettersReply, TaskView } from "../broker/contract.ts";
import { MAX_PAGE } from "../broker/limits.ts";
import type { FailureClass } from "../core/failure.ts";
import { type ErrorCode, HoldfastError } from "../errors/index.ts";

/** Letters that one call looks at to find those that a query means. */
const MOST_LOOKED_AT = 100_000;
/** Pages that one call reads for a page of its own. */
const MOST_PAGES = 20;

export interface LetterName extends LetterRef {
  readonly executionId: string;
}

export interface LetterQuery {
  readonly execution?: string;
  readonly class?: FailureClass;
  /** Contained in the name of the task or of its execution. */
  readonly name?: string;
  /** Milliseconds since 1970. */
  readonly since?: number;
}

interface Page {
  readonly letters: readonly LetterView[];
  readonly next?: string;
}

/** `k7m2~3`, `k7m2~0~100`. */
export function letterIdOf({ executionId, task, start }: LetterName): string {
  return start === undefined ? `${executionId}~${task}` : `${executionId}~${task}~${start}`;
}

export function parseLetterId(id: string): LetterName {
  const [executionId = "", task, start] = id.split("~");
  return { executionId, task: Number(task), ...(start === undefined ? {} : { start: Number(start) }) };
}

export interface ListLettersParams extends LetterQuery {
  readonly limit: number;
  readonly after?: string;
}

/** A page of the letters that a query means; it may be short, and have a next one. Errors: EXECUTION_NOT_FOUND. */
export async function listLetters(broker: Broker, params: ListLettersParams): Promise<Page> {
  const names = new TaskNames(broker);
  const found: LetterView[] = [];
  let { after } = params;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    // No more than there is room for: a page is taken whole, so that its cursor is right.
    const page = await broker.listDeadLetters({ ...scope(params, after), limit: params.limit - found.length });
    found.push(...(await matching({ names, letters: page.letters, query: params })));
    after = page.next;
    if (after === undefined || found.length > params.limit / 2) break;
  }
  return { letters: found, ...(after === undefined ? {} : { next: after }) };
}

function scope(query: LetterQuery, after: string | undefined): { executionId?: string; after?: string } {
  return {
    ...(query.execution === undefined ? {} : { executionId: query.execution }),
    ...(after === undefined ? {} : { after }),
  };
}

interface Sieve {
  readonly names: TaskNames;
  readonly letters: readonly DeadLetter[];
  readonly query: LetterQuery;
}

async function matching({ names, letters, query }: Sieve): Promise<readonly LetterView[]> {
  const cheap = letters.filter((letter) => fits(letter, query));
  await names.learn(cheap);
  const views = cheap.map((letter) => viewOf(letter, names));
  const { name } = query;
  if (name === undefined) return views;
  return views.filter((view) => view.name?.includes(name) === true || view.executionName?.includes(name) === true);
}

export function viewOf(letter: DeadLetter, names: TaskNames): LetterView {
  const { executionId, task, start, end, failures, losses, failure, at } = letter;
  const name = names.task(executionId, task);
  const executionName = names.execution(executionId);
  return {
    id: letterIdOf(letter),
    executionId,
    ...(executionName === undefined ? {} : { executionName }),
    task,
    ...(name === undefined ? {} : { name }),
    ...(start === undefined ? {} : { start }),
    ...(end === undefined ? {} : { end }),
    failures,
    losses,
    failure,
    at,
  };
}

/** Names of executions and of tasks in them, asked for once each, and those of neighbours together. */
export class TaskNames {
  readonly #broker: Broker;
  readonly #executions = new Map<string, string | undefined>();
  readonly #tasks = new Map<string, string>();

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  execution(executionId: string): string | undefined {
    return this.#executions.get(executionId);
  }

  task(executionId: string, task: number): string | undefined {
    return this.#tasks.get(`${executionId}~${task}`);
  }

  async learn(letters: readonly LetterName[]): Promise<void> {
    for (const [executionId, some] of byExecution(letters)) {
      try {
        await this.#learnOf(executionId, [...new Set(some.map(({ task }) => task))]);
      } catch (thrown) {
        // It was deleted meanwhile; its letters are told without names.
        if (!HoldfastError.is(thrown, "EXECUTION_NOT_FOUND")) throw thrown;
      }
    }
  }

  async #learnOf(executionId: string, tasks: readonly number[]): Promise<void> {
    if (!this.#executions.has(executionId)) {
      this.#executions.set(executionId, undefined);
      this.#executions.set(executionId, (await this.#broker.getExecution({ executionId })).name);
    }
    const first = Math.min(...tasks);
    const failed = await this.#broker.listTasks({
      executionId,
      states: ["failed"],
      after: first - 1,
      limit: tasks.length,
    });
    this.#note(failed.tasks);
    // Arrays have dead letters while they run.
    for (const task of tasks) {
      if (this.task(executionId, task) !== undefined) continue;
      this.#note((await this.#broker.listTasks({ executionId, after: task - 1, limit: 1 })).tasks);
    }
  }

  #note(tasks: readonly TaskView[]): void {
    for (const { executionId, task, name } of tasks) this.#tasks.set(`${executionId}~${task}`, name);
  }
}

function byExecution<T extends LetterName>(letters: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const letter of letters) {
    const group = groups.get(letter.executionId);
    if (group === undefined) groups.set(letter.executionId, [letter]);
    else group.push(letter);
  }
  return groups;
}

/** Sizes of the pages by which a letter is looked for: the page that holds it is read again in smaller ones. */
const NARROWING = [MAX_PAGE, 30, 1];

/** One letter with its input. Errors: DEAD_LETTER_NOT_FOUND. */
export async function findLetter(broker: Broker, wanted: LetterName): Promise<DeadLetter> {
  const { executionId } = wanted;
  const missing = new HoldfastError("DEAD_LETTER_NOT_FOUND", { letter: letterIdOf(wanted) });
  let after: string | undefined;
  try {
    for (const limit of NARROWING) {
      const place = await pageWith(broker, { wanted, limit, after });
      if (place === undefined) throw missing;
      ({ after } = place);
    }
    const { letters } = await broker.listDeadLetters({
      ...scope({ execution: executionId }, after),
      inputs: true,
      limit: 1,
    });
    const [letter] = letters;
    if (letter === undefined || !isSame(letter, wanted)) throw missing;
    return letter;
  } catch (thrown) {
    throw HoldfastError.is(thrown, "EXECUTION_NOT_FOUND") ? missing : thrown;
  }
}

interface Search {
  readonly wanted: LetterName;
  readonly limit: number;
  readonly after: string | undefined;
}

/** Where the page begins that has the letter. */
async function pageWith(broker: Broker, search: Search): Promise<{ readonly after: string | undefined } | undefined> {
  const { wanted, limit } = search;
  let { after } = search;
  for (;;) {
    const page = await broker.listDeadLetters({ ...scope({ execution: wanted.executionId }, after), limit });
    if (page.letters.some((letter) => isSame(letter, wanted))) return { after };
    if (page.next === undefined) return undefined;
    after = page.next;
  }
}

function isSame(one: LetterRef, other: LetterRef): boolean {
  return one.task === other.task && one.start === other.start;
}

export interface HandledLetters {
  readonly changed: number;
  readonly letters: number;
  readonly executions: number;
  readonly problems: { executionId: string; code: ErrorCode; error: string }[];
  readonly next?: string;
}

/** Replays or discards letters. Errors: those of `act` when there is one execution only, and it refuses. */
export async function handleLetters(
  broker: Broker,
  chosen: ChosenLetters,
  act: (params: LettersParams) => Promise<LettersReply>,
): Promise<HandledLetters> {
  const { letters, next } = await choose(broker, chosen);
  const groups = byExecution(letters);
  const handled: HandledLetters = {
    letters: letters.length,
    executions: groups.size,
    problems: [],
    changed: 0,
    ...(next === undefined ? {} : { next }),
  };
  let changed = 0;
  for (const [executionId, some] of groups) {
    try {
      for (let at = 0; at < some.length; at += MAX_PAGE)
        changed += (await act({ executionId, letters: some.slice(at, at + MAX_PAGE).map(refOf) })).changed;
    } catch (thrown) {
      const error = HoldfastError.from(thrown);
      const isAbout = error.entry.httpStatus < 500 || error.code === "STORE_FULL";
      if (groups.size === 1 || !isAbout) throw error;
      handled.problems.push({ executionId, code: error.code, error: error.message });
    }
  }
  return { ...handled, changed };
}

function refOf({ task, start }: LetterName): LetterRef {
  return start === undefined ? { task } : { task, start };
}

async function choose(
  broker: Broker,
  { ids, query, limit, cursor }: ChosenLetters,
): Promise<{ readonly letters: readonly LetterName[]; readonly next?: string }> {
  if (ids !== undefined) return { letters: ids.map(parseLetterId) };
  const names = new TaskNames(broker);
  const letters: LetterName[] = [];
  const wanted: LetterQuery = query ?? {};
  const isPlain = wanted.name === undefined;
  let after = cursor;
  for (let looked = 0; looked < MOST_LOOKED_AT && letters.length < limit;) {
    const page = await broker.listDeadLetters({
      ...scope(wanted, after),
      limit: Math.min(MAX_PAGE, limit - letters.length),
    });
    // Without a name to compare there is no need to ask for any.
    const found = isPlain
      ? page.letters.filter((letter) => fits(letter, wanted))
      : await matching({ names, letters: page.letters, query: wanted });
    letters.push(...found);
    looked += Math.max(1, page.letters.length);
    after = page.next;
    if (after === undefined) break;
  }
  return { letters, ...(after === undefined ? {} : { next: after }) };
}

/** All that a query says but the name. */
function fits({ failure, at }: DeadLetter, query: LetterQuery): boolean {
  return (
    (query.class === undefined || failure.class === query.class) && (query.since === undefined || at >= query.since)
  );
}
