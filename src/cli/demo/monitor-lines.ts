/** The live per-worker view of `--monitor cli`: one line per worker, from the demo's book. */
import { count, duration } from "../terminal/figures.ts";
import type { Screen } from "../terminal/screen.ts";
import { cut, padEnd, padStart } from "../terminal/text-width.ts";
import type { ChunkLedger, WorkerEntry } from "./chunk-ledger.ts";
import { workerTitle } from "./demo-plan.ts";

/** `now` is on the broker's clock. */
export function monitorLines(look: Pick<Screen, "terminal" | "theme">, ledger: ChunkLedger, now: number): string[] {
  const room = look.terminal.columns - 1;
  const entries = [...ledger.workers.values()].sort((one, other) =>
    one.worker.localeCompare(other.worker, "en", { numeric: true }),
  );
  const titleWidth = Math.max(0, ...entries.map((entry) => workerTitle(entry.worker).length));
  const chunksWidth = Math.max(0, ...entries.map((entry) => count(entry.chunks).length));
  return entries.map((entry) => {
    const title = padEnd(workerTitle(entry.worker), titleWidth);
    const done = `${padStart(count(entry.chunks), chunksWidth)} ${entry.chunks === 1 ? "chunk " : "chunks"}`;
    const text = cut(
      `  ${title}  ${done}  ${doingText(entry, { ledger, now, dash: look.theme.signs.dash })}`,
      room,
      look.theme.signs.ellipsis,
    );
    return paintFor(entry, look)(text);
  });
}

function doingText(
  entry: WorkerEntry,
  seen: { readonly ledger: ChunkLedger; readonly now: number; readonly dash: string },
): string {
  const { ledger, now, dash } = seen;
  if (entry.state === "lost") return "killed";
  if (entry.state === "left") return "left";
  const running = ledger.runningChunk(entry.worker);
  if (running === undefined) return "idle";
  const waiting = entry.held.length - 1;
  const ahead = waiting > 0 ? `, ${waiting} waiting` : "";
  return `points ${count(running.start)}${dash}${count(running.end - 1)} for ${duration(now - running.since)}${ahead}`;
}

function paintFor(entry: WorkerEntry, look: Pick<Screen, "theme">): (text: string) => string {
  if (entry.state === "lost") return look.theme.bad;
  return entry.held.length > 0 ? (text) => text : look.theme.faint;
}
