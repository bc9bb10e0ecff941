/** The picture of the workflow in the report: nodes by level, their pools' colours, the critical path drawn bold. */
import { duration } from "../../terminal/figures.ts";
import { DELIVERY, type DeliveryNode } from "./delivery.ts";
import type { Bar } from "./report.ts";
import { element, label, tip } from "./svg.ts";

const BOX = { width: 150, height: 42 };
const GAP = { x: 46, y: 22 };
const MARGIN = 10;

interface Placed extends DeliveryNode {
  readonly x: number;
  readonly y: number;
  /** Of the attempts that completed it, in the middle; undefined when none did. */
  readonly medianMs: number | undefined;
}

export function graphSvg(bars: readonly Bar[]): string {
  const nodes = place(bars);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const critical = new Set(criticalPath(nodes));
  const edges = nodes.flatMap((node) =>
    node.after.flatMap((id) => {
      const parent = byId.get(id);
      return parent === undefined
        ? []
        : [edge(parent, node, critical.has(id) && critical.has(node.id) && isTight(parent, node, nodes))];
    }),
  );
  const width = Math.max(...nodes.map(({ x }) => x)) + BOX.width + MARGIN;
  const height = Math.max(...nodes.map(({ y }) => y)) + BOX.height + MARGIN;
  return element("svg", { viewBox: `0 0 ${width} ${height}`, class: "graph", role: "img" }, [
    ...edges,
    ...nodes.map((node) => box(node, critical.has(node.id))),
  ]);
}

function place(bars: readonly Bar[]): Placed[] {
  const levels = new Map<string, number>();
  for (const { id, after } of DELIVERY)
    levels.set(id, Math.max(-1, ...after.map((parent) => levels.get(parent) ?? 0)) + 1);
  const columns = new Map<number, number>();
  const tallest = Math.max(
    ...[...new Set(levels.values())].map((level) => [...levels.values()].filter((one) => one === level).length),
  );
  return DELIVERY.map((node) => {
    const level = levels.get(node.id) ?? 0;
    const row = columns.get(level) ?? 0;
    columns.set(level, row + 1);
    const inColumn = [...levels.values()].filter((one) => one === level).length;
    const shift = ((tallest - inColumn) * (BOX.height + GAP.y)) / 2;
    return {
      ...node,
      x: MARGIN + level * (BOX.width + GAP.x),
      y: MARGIN + shift + row * (BOX.height + GAP.y),
      medianMs: medianOf(bars, node.id),
    };
  });
}

function medianOf(bars: readonly Bar[], id: string): number | undefined {
  const times = bars.filter(({ node, end }) => node === id && end === "completed").map(({ from, to }) => to - from);
  return times.sort((one, other) => one - other)[Math.floor((times.length - 1) / 2)];
}

/** Ends of nodes by the measured times, from the start. */
function endsOf(nodes: readonly Placed[]): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  for (const { id, after, medianMs } of nodes)
    ends.set(id, Math.max(0, ...after.map((parent) => ends.get(parent) ?? 0)) + (medianMs ?? 0));
  return ends;
}

function criticalPath(nodes: readonly Placed[]): string[] {
  const ends = endsOf(nodes);
  const path: string[] = [];
  let at = nodes.reduce((latest, node) => ((ends.get(node.id) ?? 0) > (ends.get(latest.id) ?? 0) ? node : latest));
  for (;;) {
    path.push(at.id);
    const [first, ...rest] = nodes.filter(({ id }) => at.after.includes(id));
    if (first === undefined) return path;
    at = rest.reduce((latest, node) => ((ends.get(node.id) ?? 0) > (ends.get(latest.id) ?? 0) ? node : latest), first);
  }
}

/** Whether the child could begin no earlier because of just this parent. */
function isTight(parent: Placed, child: Placed, nodes: readonly Placed[]): boolean {
  const ends = endsOf(nodes);
  return child.after.every((id) => (ends.get(id) ?? 0) <= (ends.get(parent.id) ?? 0));
}

function edge(parent: Placed, child: Placed, isCritical: boolean): string {
  const [x1, y1] = [parent.x + BOX.width, parent.y + BOX.height / 2];
  const [x2, y2] = [child.x, child.y + BOX.height / 2];
  const middle = Math.max(x1 + 12, x2 - GAP.x / 2);
  return element("path", {
    d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`,
    class: isCritical ? "edge critical" : "edge",
  });
}

function box(node: Placed, isCritical: boolean): string {
  const time = node.medianMs === undefined ? "did not complete" : `${duration(node.medianMs)} (median)`;
  return element("g", {}, [
    element(
      "rect",
      {
        x: node.x,
        y: node.y,
        width: BOX.width,
        height: BOX.height,
        rx: 5,
        class: `node ${node.pool}${isCritical ? " critical" : ""}`,
      },
      tip(`${node.id}: pool ${node.pool}, after ${node.after.join(", ") || "nothing"}`),
    ),
    label(node.id, { x: node.x + 10, y: node.y + 18, class: "name" }),
    label(time, { x: node.x + 10, y: node.y + 33, class: "time" }),
  ]);
}
