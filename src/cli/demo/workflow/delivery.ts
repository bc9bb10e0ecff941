/**
 * The workflow of the demo: a software delivery in eleven tasks, done by four kinds of workers. Data
 * only; delivery-tasks.ts makes it run.
 */

export interface DeliveryPool {
  readonly pool: string;
  readonly title: string;
  /** Workers that it starts with, and at most. */
  readonly min: number;
  readonly max: number;
}

export const DELIVERY_POOLS = [
  { pool: "architects", title: "Architects", min: 1, max: 3 },
  { pool: "backend", title: "Backend engineers", min: 2, max: 8 },
  { pool: "frontend", title: "Frontend developers", min: 2, max: 6 },
  { pool: "qa", title: "QA engineers", min: 1, max: 4 },
] as const satisfies readonly DeliveryPool[];

export type DeliveryPoolName = (typeof DELIVERY_POOLS)[number]["pool"];

export interface DeliveryNode {
  readonly id: string;
  readonly pool: DeliveryPoolName;
  /** In units, which the plan of the run makes into milliseconds. */
  readonly effort: number;
  readonly after: readonly string[];
}

/** Parents first. */
export const DELIVERY: readonly DeliveryNode[] = [
  { id: "system_design", pool: "architects", effort: 60, after: [] },
  { id: "database_design", pool: "architects", effort: 45, after: [] },
  { id: "api_development", pool: "backend", effort: 90, after: ["system_design"] },
  { id: "db_integration", pool: "backend", effort: 75, after: ["database_design"] },
  { id: "auth_system", pool: "backend", effort: 60, after: ["api_development"] },
  { id: "ui_components", pool: "frontend", effort: 80, after: ["api_development"] },
  { id: "dashboard", pool: "frontend", effort: 70, after: ["db_integration", "ui_components"] },
  { id: "auth_ui", pool: "frontend", effort: 45, after: ["auth_system", "ui_components"] },
  { id: "api_tests", pool: "qa", effort: 60, after: ["api_development", "db_integration", "auth_system"] },
  { id: "ui_tests", pool: "qa", effort: 60, after: ["dashboard", "auth_ui"] },
  { id: "integration_tests", pool: "qa", effort: 120, after: ["api_tests", "ui_tests"] },
];

export function poolOf(pool: string): DeliveryPool | undefined {
  return DELIVERY_POOLS.find((one) => one.pool === pool);
}

/** `backend-3` → `backend`. */
export function poolOfWorker(worker: string): string {
  return worker.replace(/-\d+$/, "");
}
