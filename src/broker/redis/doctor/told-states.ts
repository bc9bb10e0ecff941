/**
 * What the events of an execution last told of some of its items: when these have vanished, the
 * events that mend them must go on from there.
 */
import type { Reply } from "../link/link.ts";
import { pairs, type Shard } from "../shard.ts";

/** Items [start, end) of a task; a separate task is its item 0. */
export interface Piece {
  readonly task: number;
  readonly start: number;
  readonly end: number;
}

export interface ToldPiece extends Piece {
  /** A task state; empty where nothing was told. */
  readonly told: string;
}

const EVENTS_PER_READ = 500;

/** The pieces, divided where the events tell different things of their parts. */
export async function toldStates(shard: Shard, executionId: string, pieces: readonly Piece[]): Promise<ToldPiece[]> {
  let told: ToldPiece[] = pieces.map((piece) => ({ ...piece, told: "" }));
  const key = `${shard.prefix}exec:${executionId}:events`;
  for (let from = "-"; from !== "";) {
    const page = (await shard.send("XRANGE", key, from, "+", "COUNT", String(EVENTS_PER_READ))) as [string, Reply][];
    for (const [, fields] of page) told = afterEvent(told, pairs(fields));
    from = page.length < EVENTS_PER_READ ? "" : `(${page.at(-1)?.[0]}`;
  }
  return told;
}

function afterEvent(
  pieces: ToldPiece[],
  { kind, state = "", tasks = "[]" }: Readonly<Record<string, string>>,
): ToldPiece[] {
  if (kind !== "tasks") return pieces;
  let after = pieces;
  for (const entry of JSON.parse(tasks) as (number | [number, number, number])[]) {
    const [task, start, end] = typeof entry === "number" ? ([entry, 0, 1] as const) : entry;
    if (after.some((piece) => overlaps(piece, { task, start, end })))
      after = after.flatMap((piece) => divided(piece, { task, start, end, told: state }));
  }
  return after;
}

function overlaps(one: Piece, other: Piece): boolean {
  return one.task === other.task && one.start < other.end && other.start < one.end;
}

function divided(piece: ToldPiece, news: ToldPiece): ToldPiece[] {
  if (!overlaps(piece, news)) return [piece];
  const [from, to] = [Math.max(piece.start, news.start), Math.min(piece.end, news.end)];
  return [
    { ...piece, end: from },
    { ...piece, start: from, end: to, told: news.told },
    { ...piece, start: to },
  ].filter(({ start, end }) => start < end);
}
