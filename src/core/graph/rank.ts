/** Ranks of nodes: how urgent, and then how long the way is from a node's start to the end. */

/** Ranks of nodes with a higher priority lie above all lengths of a way to the end (32 years). */
const PRIORITY_STEP = 1e12;
const DEFAULT_PRIORITY = 5;

/** Rank of a node with so long a way from its start to the end. */
export function rankOf(priority: number | undefined, remainingMs: number): number {
  return (priority ?? DEFAULT_PRIORITY) * PRIORITY_STEP + Math.min(Math.round(remainingMs), PRIORITY_STEP - 1);
}

/** The priority of the node that a rank stands for. */
export function priorityOf(rank: number): number {
  return Math.floor(rank / PRIORITY_STEP);
}

/** The way to the end that a rank stands for. */
export function wayOf(rank: number): number {
  return rank % PRIORITY_STEP;
}
