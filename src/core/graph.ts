/**
 * Workflows as graphs: whether nodes that name each other are one, in which order they can run, how
 * long they take and which of them decide that.
 *
 * `readGraph` makes of nodes flat arrays in which a node is its index; all else takes that graph, and
 * durations or keys by index. Everything is linear in nodes and edges, but for a logarithm where
 * nodes are put in the order of a key.
 *
 *     const { graph, problems } = readGraph([{ id: "a", after: [] }, { id: "b", after: ["a"] }]);
 *     const { criticalPathMs, remainingMs } = analyse(graph, [120, 80]); // 200, [200, 80]
 */
export { analyse, ancestorsOf, delayOfEndMs, descendantsOf, remainingWays, type Analysis } from "./graph/analysis.ts";
export { makespanBounds, type BoundsParams, type Capacity, type MakespanBounds } from "./graph/bounds.ts";
export { changedGraph, type GraphChanges } from "./graph/changed.ts";
export { estimatesOf, type EstimatedTask } from "./graph/estimates.ts";
export { linkCount, linked, type Graph, type GraphNode, type Links } from "./graph/links.ts";
export { listSchedule, type ListSchedule, type ListScheduleParams } from "./graph/list-schedule.ts";
export { levelOfEach, levelsOf, orderByKey } from "./graph/order.ts";
export { problemsText, shownId, type GraphProblem, type NodeWords } from "./graph/problems.ts";
export { leftToRunMs, type NodeProgress } from "./graph/progress.ts";
export { priorityOf, rankOf, wayOf } from "./graph/rank.ts";
export { readGraph, type ReadGraph, type ReadGraphOptions } from "./graph/read.ts";
export { restOf, restOfGraph, type NodeStand, type Rest, type RestParams, type StartedNode } from "./graph/rest.ts";
