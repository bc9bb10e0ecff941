/**
 * One run of the demo's sweep on Holdfast, watched through the broker's events: submit, keep the
 * book, kill worker 1 when the moment comes, wait for the end, collect the results.
 *
 * Everything measured here is on the broker's clock (broker-clock.ts). A killed worker is told to
 * nobody; that it is missed is the broker's own finding.
 */
import type { BrokerEvent, ExecutionView } from "../../broker/contract.ts";
import type { PublicBroker } from "../../broker/http/http-broker.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import { isExecutionEnded } from "../../core/states.ts";
import { HoldfastError } from "../../errors/index.ts";
import { orAborted } from "../../util/or-aborted.ts";
import { ChunkLedger, type Takeover } from "./chunk-ledger.ts";
import type { Clock } from "../../util/clock.ts";
import { type DemoPlan, VICTIM, workerName } from "./demo-plan.ts";
import { type Kill, takeAim, takeoverOf } from "./fault.ts";

export interface QueueRunParams {
  readonly plan: DemoPlan;
  readonly broker: PublicBroker;
  /** The broker's. */
  readonly clock: Clock;
  readonly executionId: string;
  /** Event cursor from before the submit. */
  readonly cursor: number;
  readonly pidOf: (worker: string) => number | undefined;
  /** Rejects when no worker is left. */
  readonly workersGone: Promise<never>;
  readonly hooks: QueueRunHooks;
  readonly signal: AbortSignal;
}

export interface QueueRunHooks {
  /** After every page of events. */
  readonly onNews: (ledger: ChunkLedger) => void;
  readonly onKill: (kill: Kill) => void;
  readonly onTakeover: (takeover: Takeover, recoveryMs: number) => void;
}

export interface QueueOutcome {
  readonly ledger: ChunkLedger;
  readonly view: ExecutionView;
  readonly kill: Kill | undefined;
  readonly killedAtShare: number | undefined;
  readonly takeover: Takeover | undefined;
  /** When the killed worker's chunk was committed by another, on the broker's clock. */
  readonly recomputedAt: number | undefined;
}

const READ_WAIT_MS = 1_000;
/** Without any commit for this long the run is given up. */
const STALLED_AFTER_MS = 60_000;

/** Errors: EXECUTION_FAILED when nothing moves any more or no worker is left. Throws the signal's reason when interrupted. */
export async function runOnQueue(params: QueueRunParams): Promise<QueueOutcome> {
  const run = new QueueRun(params);
  try {
    return await run.untilEnded();
  } finally {
    run.stop();
  }
}

class QueueRun {
  readonly #params: QueueRunParams;
  readonly #ledger = new ChunkLedger();
  #kill: Kill | undefined;
  #killedAtShare: number | undefined;
  #takeover: Takeover | undefined;
  #recomputedAt: number | undefined;
  #cancelAim: (() => void) | undefined;
  #lastMoveAt: number;

  constructor(params: QueueRunParams) {
    this.#params = params;
    this.#lastMoveAt = params.clock.now();
  }

  stop(): void {
    this.#cancelAim?.();
  }

  async untilEnded(): Promise<QueueOutcome> {
    const { broker, executionId, signal, workersGone } = this.#params;
    let { cursor } = this.#params;
    for (;;) {
      const reading = broker.readEvents({ cursor, limit: MAX_PAGE, waitMs: READ_WAIT_MS });
      const page = await orAborted(Promise.race([reading, workersGone]), signal);
      cursor = page.cursor;
      for (const event of page.events) this.#note(event);
      this.#params.hooks.onNews(this.#ledger);
      const over = page.events.some(
        ({ executionId: of, change }) =>
          of === executionId && change.kind === "execution" && isExecutionEnded(change.state),
      );
      if (over) return this.#outcome(await broker.getExecution({ executionId }));
      this.#aim();
      await this.#giveUpWhenStalled();
    }
  }

  #note(event: BrokerEvent): void {
    const { executionId, hooks } = this.#params;
    if (event.executionId !== undefined && event.executionId !== executionId) return;
    this.#ledger.apply(event);
    const { change } = event;
    if (change.kind !== "tasks" || change.state !== "completed") {
      this.#noteTakeover(hooks);
      return;
    }
    this.#lastMoveAt = this.#params.clock.now();
    if (
      this.#kill !== undefined &&
      change.worker !== this.#kill.worker &&
      this.#recomputedAt === undefined &&
      this.#ledger.isDone(this.#kill.chunk)
    ) {
      this.#recomputedAt = event.at;
    }
  }

  #noteTakeover(hooks: QueueRunHooks): void {
    if (this.#kill === undefined || this.#takeover !== undefined) return;
    this.#takeover = takeoverOf(this.#kill, this.#ledger);
    if (this.#takeover !== undefined) hooks.onTakeover(this.#takeover, this.#takeover.at - this.#kill.at);
  }

  /** Kills now, or looks again when the middle of the chunk has come. */
  #aim(): void {
    const { plan, clock } = this.#params;
    if (!plan.fault || this.#kill !== undefined) return;
    this.#cancelAim?.();
    const victim = workerName(VICTIM);
    const aim = takeAim(this.#ledger, { victim, totalChunks: plan.chunks, now: clock.now() });
    if (aim.kind === "soon") this.#cancelAim = clock.schedule(aim.inMs, () => this.#aim());
    const pid = this.#params.pidOf(victim);
    if (aim.kind !== "now" || pid === undefined) return;
    const at = clock.now();
    process.kill(pid, "SIGKILL");
    this.#kill = { worker: victim, pid, chunk: aim.chunk, intoChunkMs: aim.intoChunkMs, at };
    this.#killedAtShare = this.#ledger.doneChunks / plan.chunks;
    this.#params.hooks.onKill(this.#kill);
  }

  async #giveUpWhenStalled(): Promise<void> {
    if (this.#params.clock.now() - this.#lastMoveAt < STALLED_AFTER_MS) return;
    const { broker, executionId } = this.#params;
    const { counters, firstFailure, state } = await broker.getExecution({ executionId });
    const failure = firstFailure?.message ?? `nothing was committed for ${STALLED_AFTER_MS / 1_000} s`;
    throw new HoldfastError("EXECUTION_FAILED", {
      execution: executionId,
      state,
      completed: counters.completed,
      total: counters.total,
      failed: counters.failed,
      failure,
    });
  }

  #outcome(view: ExecutionView): QueueOutcome {
    return {
      ledger: this.#ledger,
      view,
      kill: this.#kill,
      killedAtShare: this.#killedAtShare,
      takeover: this.#takeover,
      recomputedAt: this.#recomputedAt,
    };
  }
}
