/**
 * Random histories: workers claim, report, fail, die, leave, repeat themselves and come late, in
 * any order that the generator finds, and a model beside the broker knows what must be true after
 * every step. In the end healthy workers finish what is left, and everything is recounted.
 *
 * The model knows of every item whether somebody holds it or it is committed, and of every lease
 * whether it is current. It does not know retry arithmetic: what becomes of a failed item is the
 * broker's decision, which the audit and the final count judge.
 */
import assert from "node:assert/strict";
import {
  ALL_POOLS,
  type DeadLetter,
  type Edit,
  type Lease,
  type LeaseRef,
  type Outcome,
  type Submission,
  type TaskView,
} from "../../src/broker/contract.ts";
import { HoldfastError } from "../../src/errors/index.ts";
import { ascending } from "../support/ascending.ts";
import type { FakeWorker } from "../support/fake-worker.ts";
import { chunkDone, completed, failed, failure, isChunk, refOf, returned } from "../support/outcomes.ts";
import { allResults, allTasks } from "./audit.ts";
import { assertAsTold, editsBy, graphEditsBy } from "./history-edits.ts";
import { Graph } from "./history-graph.ts";
import { culpritOf, doneBy, itemsOf, itemsOfLetter, partlyFailed, SIGNAL, skipBy, suspendBy } from "./history-items.ts";
import { refusedWith, type World } from "./world.ts";

export const STEP_KINDS = [
  "claim",
  "finish",
  "fail",
  "failPart",
  "return",
  "skip",
  "suspend",
  "signal",
  "late",
  "repeat",
  "steal",
  "reconcile",
  "die",
  "leave",
  "silence",
  "time",
  "overdue",
  "pause",
  "cancel",
  "retry",
  "discard",
  "rerun",
  "edit",
  "editGraph",
  "undo",
  "pauseAll",
  "restart",
] as const;

/** One step; the numbers choose among whatever there is at that moment. */
export interface Step {
  readonly kind: (typeof STEP_KINDS)[number];
  readonly worker: number;
  readonly pick: number;
  readonly amount: number;
}

interface Life {
  readonly worker: FakeWorker;
  readonly held: Lease[];
  /** Outcomes of this life that committed something. */
  readonly told: Outcome[];
}

/** A lease that has ended without a result; `told` is what its holder said, if it said anything. */
interface Stale {
  readonly lease: Lease;
  readonly told?: Outcome["kind"];
}

const WORKERS = 3;

export class RandomHistory {
  readonly #world: World;
  /** Ends the broker and opens it again, where a test has a broker that can. */
  readonly #restart: (() => Promise<void>) | undefined;
  readonly #lives: Life[] = [];
  readonly #stale: Stale[] = [];
  readonly #executions: string[] = [];
  readonly #submissions = new Map<string, Submission>();
  readonly #graphs = new Map<string, Graph>();
  readonly #ended = new Set<string>();
  readonly #heldItems = new Set<string>();
  readonly #doneItems = new Set<string>();
  /** Leases that are still held by somebody but are not current: their execution has ended since, or they were taken away. */
  readonly #dead = new Set<Lease>();
  /** Dead letters that were struck off. */
  readonly #discarded = new Set<string>();
  readonly #signalled = new Set<string>();
  /** Attempts per item that failed or were lost; those handed back do not count. */
  readonly #attempts = new Map<string, number>();
  /** The lost ones among them. */
  readonly #losses = new Map<string, number>();

  private constructor(world: World, restart: (() => Promise<void>) | undefined) {
    this.#world = world;
    this.#restart = restart;
  }

  static async start(
    world: World,
    submissions: readonly Submission[],
    restart?: () => Promise<void>,
  ): Promise<RandomHistory> {
    const history = new RandomHistory(world, restart);
    for (const submission of submissions) history.#noteSubmission(await world.submit(submission), submission);
    for (let index = 0; index < WORKERS; index += 1) await history.#reborn(index);
    return history;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case "claim":
        await this.#claim(this.#life(step), 1 + (step.amount % 4));
        break;
      case "finish":
        await this.#report(step, (lease) => (isChunk(lease) ? chunkDone(lease) : completed(lease)));
        break;
      case "fail":
        await this.#report(step, (lease) =>
          failed(
            lease,
            failure(step.amount % 4 === 3 ? "invalid-input" : "user-error"),
            isChunk(lease) ? culpritOf(lease, step.amount) : undefined,
          ),
        );
        break;
      case "failPart":
        await this.#report(step, (lease) =>
          isChunk(lease) ? partlyFailed(lease, step.amount) : failed(lease, failure("network")),
        );
        break;
      case "return":
        await this.#report(step, returned);
        break;
      case "skip":
        await this.#report(step, (lease) => skipBy(lease, step.amount));
        break;
      case "suspend":
        await this.#report(step, (lease) => suspendBy(lease, step.amount));
        break;
      case "signal":
        await this.#signal(this.#executions[step.pick % this.#executions.length] ?? "");
        break;
      case "late":
      case "steal":
        await this.#reportForeign(step);
        break;
      case "repeat":
        await this.#repeat(step);
        break;
      case "reconcile":
        await this.#reconcile(this.#life(step), step.amount % 4);
        break;
      case "die":
      case "leave":
        await this.#end(step.worker % WORKERS, step.kind);
        break;
      case "silence":
        await this.#silence(step.worker % WORKERS);
        break;
      case "time":
        await this.#time(step.amount);
        break;
      case "overdue":
        await this.#overdue();
        break;
      case "pause":
        await this.#pauseOrResume(step);
        break;
      case "pauseAll":
        await (step.amount % 3 === 0
          ? this.#world.broker.pausePool({ pool: ALL_POOLS })
          : this.#world.broker.resumePool({ pool: ALL_POOLS }));
        break;
      case "retry":
        await this.#retry(step);
        break;
      case "discard":
        await this.#discard(step);
        break;
      case "rerun":
        await this.#rerun(step);
        break;
      case "edit":
      case "editGraph":
        await this.#edit(step);
        break;
      case "undo":
        await this.#undo(step);
        break;
      case "restart":
        await this.#restart?.();
        break;
      case "cancel":
        // Rare on purpose: what is cancelled has no story left.
        if (step.amount % 8 === 0) await this.#cancel(this.#executions[step.pick % this.#executions.length] ?? "");
        break;
    }
    await this.#compare();
  }

  /** Healthy workers do what is left; then everything is recounted. */
  async finish(): Promise<void> {
    await this.#world.broker.resumePool({ pool: ALL_POOLS });
    for (const executionId of this.#executions) await this.#letRun(executionId);
    for (let round = 0; !(await this.#allEnded()); round += 1) {
      assert.ok(round < 1_000, "something is stranded");
      for (const life of this.#lives) {
        await this.#claim(life, 5);
        while (life.held.length > 0)
          await this.#tell(life, 0, (lease) => (isChunk(lease) ? chunkDone(lease) : completed(lease)));
      }
      for (const executionId of this.#executions) await this.#signal(executionId);
      await this.#time(60);
    }
    await this.#compare();
    for (const executionId of this.#executions) await this.#recount(executionId);
  }

  /** Nothing that people have said stops it any more. */
  async #letRun(executionId: string): Promise<void> {
    const { broker } = this.#world;
    if (await this.#hasEnded(executionId)) return;
    await broker.resume({ executionId });
    const held = (await allTasks(broker, executionId)).flatMap(({ task, held: isHeld = false }) =>
      isHeld ? [task] : [],
    );
    if (held.length > 0)
      await broker.editExecution({ executionId, edits: [{ kind: "unhold", tasks: held }], apply: true });
  }

  #noteSubmission(executionId: string, submission: Submission): void {
    this.#executions.push(executionId);
    this.#submissions.set(executionId, submission);
    this.#graphs.set(executionId, new Graph(submission.groups));
  }

  #graph(executionId: string): Graph {
    const graph = this.#graphs.get(executionId);
    assert.ok(graph !== undefined);
    return graph;
  }

  #life(step: Step): Life {
    return this.#lives[step.worker % WORKERS] as Life;
  }

  async #reborn(index: number): Promise<void> {
    this.#lives[index] = { worker: await this.#world.join({ worker: `w${index}` }), held: [], told: [] };
  }

  async #claim(life: Life, max: number): Promise<void> {
    const before = await this.#separateTasks();
    for (const lease of await life.worker.leases(max)) {
      this.#checkStart(lease, before.get(lease.executionId) ?? []);
      for (const item of itemsOf(lease)) {
        assert.ok(!this.#heldItems.has(item), `${item} was given out twice`);
        assert.ok(!this.#doneItems.has(item), `${item} was given out after its commit`);
        assert.equal(lease.attempt, 1 + (this.#attempts.get(item) ?? 0), `attempt of ${item}`);
        const mostLosses = this.#graph(lease.executionId).groupOf(lease.task)?.maxLosses ?? 0;
        assert.ok((this.#losses.get(item) ?? 0) < mostLosses, `${item} is given to yet another worker`);
        this.#heldItems.add(item);
      }
      life.held.push(lease);
    }
  }

  /** Tasks by execution, of those that have any. */
  async #separateTasks(): Promise<ReadonlyMap<string, readonly TaskView[]>> {
    const found = new Map<string, readonly TaskView[]>();
    for (const executionId of this.#executions) {
      if (this.#submissions.get(executionId)?.kind === "sweep") continue;
      found.set(executionId, await allTasks(this.#world.broker, executionId));
    }
    return found;
  }

  /** It may start: nobody holds it, all that comes before it has been committed, or let it go on, and it has those results. */
  #checkStart({ executionId, task, parents = {} }: Lease, before: readonly TaskView[]): void {
    assert.notEqual(before[task]?.held, true, `${task} is held`);
    const graph = this.#graph(executionId);
    const results: number[] = [];
    for (const parent of graph.parentsOf(task)) {
      const { work } = graph.groupOf(parent) ?? {};
      const items = Array.from(
        { length: work?.kind === "array" ? work.length : 1 },
        (_, item) => `${executionId}/${parent}/${item}`,
      );
      const isDone = items.every((item) => this.#doneItems.has(item));
      assert.ok(isDone || graph.passes(before[parent]), `${task} runs before ${parent} is committed`);
      if (isDone && work?.kind === "tasks") results.push(parent);
    }
    assert.deepEqual(
      ascending(Object.keys(parents).map(Number)),
      ascending(results),
      `results of the parents of ${task}`,
    );
  }

  /** The reply to a claim is lost, and the worker tells what it knows of. */
  async #reconcile({ worker, held }: Life, max: number): Promise<void> {
    const unknown = await worker.leases(max);
    const reply = await worker.reconcile(...held);
    const lost = held.filter((lease) => this.#dead.has(lease)).map(refOf);
    assert.deepEqual(reply, { returned: unknown.length, lost });
    for (const lease of unknown) this.#stale.push({ lease, told: "returned" });
  }

  async #report(step: Step, outcomeOf: (lease: Lease) => Outcome): Promise<void> {
    const life = this.#life(step);
    if (life.held.length > 0) await this.#tell(life, step.pick % life.held.length, outcomeOf);
  }

  /** The holder reports: it must be believed. */
  async #tell(life: Life, index: number, outcomeOf: (lease: Lease) => Outcome): Promise<void> {
    const [lease] = life.held.splice(index, 1);
    if (lease === undefined) return;
    const outcome = outcomeOf(lease);
    const isCurrent = !this.#dead.has(lease);
    assert.deepEqual(await life.worker.report(outcome), [isCurrent ? "accepted" : "refused"]);
    if (!isCurrent) {
      this.#stale.push({ lease });
      return;
    }
    for (const item of itemsOf(lease)) this.#heldItems.delete(item);
    const done = doneBy(lease, outcome);
    for (const item of done) this.#doneItems.add(item);
    if (outcome.kind !== "returned") this.#charge(lease);
    this.#graph(lease.executionId).noteOutcome(lease.task, outcome);
    if (done.length > 0) life.told.push(outcome);
    else this.#stale.push({ lease, told: outcome.kind });
    await this.#noteEnd(lease.executionId);
  }

  /** What was taken before stays known; an execution that has ended takes nothing more. */
  async #signal(executionId: string): Promise<void> {
    const give = (): Promise<unknown> => this.#world.broker.signal({ executionId, signal: SIGNAL, payload: "1" });
    const isKnown = this.#signalled.has(executionId);
    if (!isKnown && (await this.#hasEnded(executionId))) await refusedWith("EXECUTION_ENDED", give);
    else {
      const reply = await give();
      assert.deepEqual(reply, isKnown ? { accepted: true, released: 0 } : { ...Object(reply), accepted: true });
      this.#signalled.add(executionId);
    }
  }

  #charge(lease: Lease, isLost = false): void {
    for (const item of itemsOf(lease)) {
      this.#attempts.set(item, (this.#attempts.get(item) ?? 0) + 1);
      if (isLost) this.#losses.set(item, (this.#losses.get(item) ?? 0) + 1);
    }
  }

  /** Somebody reports a lease that is not theirs, or not current: it must be refused. */
  async #reportForeign(step: Step): Promise<void> {
    const life = this.#life(step);
    const others = this.#lives
      .filter((one) => one !== life)
      .flatMap((one) => one.held.map((lease): Stale => ({ lease })));
    const pool = step.kind === "late" ? this.#stale : others;
    const stale = pool[step.pick % Math.max(1, pool.length)];
    if (stale === undefined) return;
    const { lease, told } = stale;
    const outcomes: Outcome[] = [isChunk(lease) ? chunkDone(lease) : completed(lease, '"stolen"')];
    // Of a lease that its holder has reported, the same told again is no lie.
    if (told === undefined)
      outcomes.push(isChunk(lease) ? partlyFailed(lease, step.amount) : failed(lease), returned(lease));
    assert.deepEqual(
      await life.worker.report(...outcomes),
      outcomes.map(() => "refused"),
      `${step.kind} ${JSON.stringify(lease)}`,
    );
  }

  /** A reply was lost and the worker tells again: accepted, without effect. */
  async #repeat(step: Step): Promise<void> {
    const life = this.#life(step);
    const outcome = life.told[step.pick % Math.max(1, life.told.length)];
    if (outcome === undefined) return;
    const verdicts = await life.worker.report(outcome, outcome);
    if (this.#ended.has(outcome.lease.executionId)) return;
    assert.deepEqual(verdicts, ["accepted", "accepted"]);
  }

  async #end(index: number, how: "die" | "leave"): Promise<void> {
    const life = this.#lives[index] as Life;
    await (how === "die" ? life.worker.die() : life.worker.leave());
    await this.#passOn(index, how);
  }

  /** The life is over: its leases have passed on, and the worker begins another. */
  async #passOn(index: number, how: "die" | "leave"): Promise<void> {
    const held = (this.#lives[index] as Life).held.splice(0);
    for (const lease of held) {
      const isDead = this.#dead.has(lease);
      if (!isDead) for (const item of itemsOf(lease)) this.#heldItems.delete(item);
      if (how === "die" && !isDead) this.#charge(lease, true);
      this.#stale.push(how === "die" || isDead ? { lease } : { lease, told: "returned" });
    }
    for (const lease of held) await this.#noteEnd(lease.executionId);
    await this.#reborn(index);
  }

  async #time(seconds: number): Promise<void> {
    await this.#world.advance((seconds % 90) * 1_000);
    for (const life of this.#lives) await life.worker.heartbeat(life.held.length);
    for (let more = true; more;) more = (await this.#world.promote(3)).more;
    assert.equal((await this.#world.reap()).handled, 0, "everybody is alive");
  }

  /** One worker says nothing for longer than a session may. */
  async #silence(index: number): Promise<void> {
    for (let quarter = 0; quarter < 4; quarter += 1) {
      await this.#world.advance(1_500);
      for (const [other, life] of this.#lives.entries())
        if (other !== index) await life.worker.heartbeat(life.held.length);
    }
    assert.equal((await this.#world.reap()).handled, 1);
    await this.#passOn(index, "die");
  }

  /** Attempts take so long that those with a timeout are taken back. */
  async #overdue(): Promise<void> {
    await this.#world.advance(100_000);
    for (const life of this.#lives) await life.worker.heartbeat(life.held.length);
    for (let more = true; more;) more = (await this.#world.broker.reapOverdue({ limit: 2 })).more;
    for (const life of this.#lives) {
      const { cancel } = await life.worker.heartbeat(life.held.length);
      for (const ref of cancel) await this.#drop(life, ref);
    }
  }

  /** The worker was told to stop a lease: it is not its own any more. */
  async #drop(life: Life, ref: LeaseRef): Promise<void> {
    const at = life.held.findIndex(
      (lease) =>
        lease.executionId === ref.executionId &&
        lease.task === ref.task &&
        lease.start === ref.start &&
        lease.token === ref.token,
    );
    const [lease] = at < 0 ? [] : life.held.splice(at, 1);
    if (lease === undefined) return;
    this.#stale.push({ lease });
    if (this.#dead.has(lease)) return;
    for (const item of itemsOf(lease)) this.#heldItems.delete(item);
    this.#charge(lease);
    await this.#noteEnd(lease.executionId);
  }

  async #pauseOrResume(step: Step): Promise<void> {
    const executionId = this.#executions[step.pick % this.#executions.length];
    if (executionId === undefined || this.#ended.has(executionId)) return;
    await (step.amount % 2 === 0
      ? this.#world.broker.pause({ executionId })
      : this.#world.broker.resume({ executionId }));
  }

  async #cancel(executionId: string): Promise<void> {
    if (this.#ended.has(executionId)) return;
    await this.#world.broker.cancel({ executionId });
    await this.#noteEnd(executionId);
  }

  async #hasEnded(executionId: string): Promise<boolean> {
    return ["completed", "failed", "cancelled"].includes((await this.#world.view(executionId)).state);
  }

  async #noteEnd(executionId: string): Promise<void> {
    if (this.#ended.has(executionId) || !(await this.#hasEnded(executionId))) return;
    this.#ended.add(executionId);
    this.#stop((lease) => lease.executionId === executionId);
  }

  /** These leases are taken away, as neither failures nor losses; those who hold them do not know it yet. */
  #stop(isStopped: (lease: Lease) => boolean): void {
    for (const lease of this.#lives.flatMap((life) => life.held)) {
      if (!isStopped(lease) || this.#dead.has(lease)) continue;
      this.#dead.add(lease);
      this.#charge(lease);
      for (const item of itemsOf(lease)) this.#heldItems.delete(item);
    }
  }

  // ── By hand ─────────────────────────────────────────────────────────────────────────────────

  async #letters(executionId: string): Promise<readonly DeadLetter[]> {
    return (await this.#world.broker.listDeadLetters({ executionId, limit: 1_000 })).letters;
  }

  /** All letters, or those that the bits of `amount` choose. */
  async #chosenLetters(step: Step): Promise<{ readonly executionId: string; readonly letters?: DeadLetter[] }> {
    // Most executions have none: then any will do.
    const { letters: some } = await this.#world.broker.listDeadLetters({ limit: 1_000 });
    const among = some.length > 0 ? some.map((letter) => letter.executionId) : this.#executions;
    const executionId = among[step.pick % among.length] ?? "";
    if (step.amount % 2 === 0) return { executionId };
    const all = await this.#letters(executionId);
    return { executionId, letters: all.filter((_, index) => ((step.amount >> ((index % 6) + 1)) & 1) === 1) };
  }

  async #retry(step: Step): Promise<void> {
    const { broker } = this.#world;
    const { executionId, letters } = await this.#chosenLetters(step);
    if ((await this.#world.view(executionId)).state === "cancelled") {
      await refusedWith("EXECUTION_CANCELLED", () => broker.retry({ executionId }));
      return;
    }
    const retried = letters ?? (await this.#letters(executionId));
    const items = retried.flatMap(itemsOfLetter);
    const named = letters === undefined ? {} : { letters: letters.map(letterRef) };
    const { changed } = await broker.retry({ executionId, ...named });
    assert.equal(changed, items.length);
    for (const { task } of retried) this.#graph(executionId).noteRetry(task);
    for (const item of items) this.#losses.delete(item);
    if (changed > 0) this.#ended.delete(executionId);
  }

  async #discard(step: Step): Promise<void> {
    const { executionId, letters } = await this.#chosenLetters(step);
    const items = (letters ?? (await this.#letters(executionId))).flatMap(itemsOfLetter);
    const named = letters === undefined ? {} : { letters: letters.map(letterRef) };
    const { changed } = await this.#world.broker.discard({ executionId, ...named });
    assert.equal(changed, items.length);
    for (const item of items) this.#discarded.add(item);
  }

  /** A task and what comes after it lose leases and results, and the counts of failures and losses. */
  async #rerun(step: Step): Promise<void> {
    const executionId = this.#executions[step.pick % this.#executions.length] ?? "";
    const submission = this.#submissions.get(executionId);
    if (submission?.keepInputs !== true) return;
    const { state, counters } = await this.#world.view(executionId);
    const task = step.amount % (await allTasks(this.#world.broker, executionId)).length;
    try {
      const { reset, execution } = await this.#world.broker.rerun({ executionId, task });
      assert.ok(reset > 0);
      assert.equal(execution.counters.total, counters.total);
    } catch (error) {
      const expected = state === "cancelled" ? "EXECUTION_CANCELLED" : "INVALID_REQUEST";
      assert.ok(HoldfastError.is(error, expected), String(error));
      return;
    }
    const graph = this.#graph(executionId);
    const again = new Set(graph.below(task));
    // What one of them has added and forgets is removed.
    const forgotten = [...again].flatMap((one) => graph.untie(one));
    for (const one of forgotten) if (!this.#doneItems.has(`${executionId}/${one}/0`)) again.add(one);
    const isOfThem = (ref: LeaseRef): boolean => ref.executionId === executionId && again.has(ref.task);
    this.#stop(isOfThem);
    for (const number of again) {
      const item = `${executionId}/${number}/0`;
      for (const known of [this.#doneItems, this.#discarded, this.#losses]) known.delete(item);
    }
    for (const life of this.#lives) {
      const kept = life.told.filter(({ lease }) => !isOfThem(lease));
      life.told.splice(0, life.told.length, ...kept);
    }
    this.#ended.delete(executionId);
  }

  /** An execution is edited; what the preview says is what happens. */
  async #edit(step: Step): Promise<void> {
    const { broker } = this.#world;
    const executionId = this.#executions[step.pick % this.#executions.length] ?? "";
    if (this.#submissions.get(executionId)?.kind === "sweep") return;
    const graph = this.#graph(executionId);
    const before = await allTasks(broker, executionId);
    const edits = step.kind === "edit" ? editsBy(step.amount, before) : graphEditsBy(step.amount, before, graph);
    if (await this.#hasEnded(executionId)) {
      await refusedWith("EXECUTION_ENDED", () => broker.editExecution({ executionId, edits, apply: true }));
    } else if (graph.edit(edits)) {
      await this.#applyEdits(executionId, edits, before);
    } else {
      await this.#refusedEdits("INVALID_REQUEST", { executionId, edits, before });
    }
  }

  /** The last edit is taken back, where that can be done. */
  async #undo(step: Step): Promise<void> {
    const executionId = this.#executions[step.pick % this.#executions.length] ?? "";
    if (await this.#hasEnded(executionId)) return;
    const edits = [{ kind: "undo" }] as const;
    const before = await allTasks(this.#world.broker, executionId);
    const graph = this.#graph(executionId);
    const refusal = graph.undoRefusal(before);
    if (refusal !== undefined) {
      await this.#refusedEdits(refusal, { executionId, edits, before });
      return;
    }
    graph.undo();
    await this.#applyEdits(executionId, edits, before);
  }

  async #refusedEdits(
    code: "INVALID_REQUEST" | "EDIT_CONFLICT",
    { before, ...params }: { executionId: string; edits: readonly Edit[]; before: readonly TaskView[] },
  ): Promise<void> {
    const { broker } = this.#world;
    await refusedWith(code, () => broker.editExecution({ ...params, apply: false }));
    await refusedWith(code, () => broker.editExecution({ ...params, apply: true }));
    assert.deepEqual(await allTasks(broker, params.executionId), before);
  }

  async #applyEdits(executionId: string, edits: readonly Edit[], before: readonly TaskView[]): Promise<void> {
    const { broker } = this.#world;
    const { counters } = await this.#world.view(executionId);
    const { version, changes } = await broker.editExecution({ executionId, edits, apply: false });
    assert.deepEqual(await allTasks(broker, executionId), before);
    const params = { executionId, edits, apply: true, version };
    const { execution, ...applied } = await broker.editExecution(params);
    assert.deepEqual(applied, { version, changes });
    assert.deepEqual((await broker.editExecution(params)).changes, changes);
    assertAsTold({ edits, changes, before, after: await allTasks(broker, executionId) });
    assert.equal(execution.counters.total, counters.total + changes.added);
    const skipped = changes.removedCount + changes.skippedCount + changes.addedSkipped - changes.restoredCount;
    assert.equal(execution.counters.skipped, counters.skipped + skipped);
    assert.equal(await this.#hasEnded(executionId), changes.ends !== undefined);
    const stopped = new Set([...changes.removed.map(({ task }) => task), ...changes.skipped, ...changes.rerun]);
    this.#stop((lease) => lease.executionId === executionId && stopped.has(lease.task));
    await this.#noteEnd(executionId);
  }

  async #allEnded(): Promise<boolean> {
    for (const executionId of this.#executions) if (!(await this.#hasEnded(executionId))) return false;
    return true;
  }

  /** What the model knows is what the counters say. */
  async #compare(): Promise<void> {
    for (const executionId of this.#executions) {
      const { counters } = await this.#world.view(executionId);
      const mine = (items: Set<string>): number =>
        [...items].filter((item) => item.startsWith(`${executionId}/`)).length;
      assert.deepEqual(
        { running: counters.running, completed: counters.completed },
        { running: mine(this.#heldItems), completed: mine(this.#doneItems) },
      );
    }
  }

  /** Every item is committed exactly once, or a dead letter, or could not run any more. */
  async #recount(executionId: string): Promise<void> {
    const { broker } = this.#world;
    const committed = new Set<string>();
    for (const row of await allResults(broker, executionId)) {
      const missing = new Set(row.missing ?? []);
      for (let item = row.start ?? 0; item < (row.end ?? 1); item += 1) {
        if (missing.has(item)) continue;
        const key = `${executionId}/${row.task}/${item}`;
        assert.ok(!committed.has(key), `${key} has two results`);
        committed.add(key);
      }
    }
    assert.deepEqual(
      [...committed].toSorted(),
      [...this.#doneItems].filter((item) => item.startsWith(`${executionId}/`)).toSorted(),
    );
    const dead = new Set<string>();
    for (const letter of (await broker.listDeadLetters({ executionId, limit: 1_000 })).letters) {
      for (let item = letter.start ?? 0; item < (letter.end ?? 1); item += 1) {
        const key = `${executionId}/${letter.task}/${item}`;
        assert.equal(letter.losses, this.#losses.get(key) ?? 0, `losses of ${key}`);
        dead.add(key);
      }
    }
    for (const item of dead) assert.ok(!committed.has(item), `${item} is both committed and dead`);
    const { counters } = await this.#world.view(executionId);
    const discarded = [...this.#discarded].filter((item) => item.startsWith(`${executionId}/`));
    for (const item of discarded) assert.ok(!committed.has(item) && !dead.has(item), `${item} was discarded`);
    assert.equal(dead.size + discarded.length, counters.failed);
    const tasks = await allTasks(broker, executionId);
    const total = tasks.reduce((sum, task) => sum + (task.items?.total ?? 1), 0);
    assert.equal(committed.size + counters.failed + counters.skipped + counters.cancelled, total);
  }
}

function letterRef({ task, start }: DeadLetter): { readonly task: number; readonly start?: number } {
  return start === undefined ? { task } : { task, start };
}
