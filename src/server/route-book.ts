/** Which paths there are, and what each takes. */
import type { Operation } from "../api/operation.ts";

export interface MountedRoute {
  readonly id: string;
  readonly operation: Operation;
  readonly method: Operation["method"];
  /** In the router's words: `/api/v1/executions/:executionId`. */
  readonly url: string;
}

export class RouteBook {
  readonly routes: readonly MountedRoute[];
  readonly #paths: readonly { readonly pattern: RegExp; readonly methods: ReadonlySet<string> }[];

  constructor(prefixes: readonly string[], operations: readonly (readonly [string, Operation])[]) {
    this.routes = prefixes.flatMap((prefix) =>
      operations.map(([id, operation]) => ({
        id,
        operation,
        method: operation.method,
        url: prefix + operation.path.replace(/\{(\w+)\}/g, ":$1"),
      })),
    );
    const byUrl = new Map<string, Set<string>>();
    for (const { url, method } of this.routes) {
      const shape = url.replace(/:\w+/g, ":");
      const methods = byUrl.get(shape) ?? new Set();
      byUrl.set(shape, methods.add(method));
    }
    this.#paths = [...byUrl].map(([shape, methods]) => ({ pattern: patternOf(shape), methods }));
  }

  /** Methods that a path takes, `OPTIONS` among them; none where there is nothing. */
  methodsAt(path: string): readonly string[] {
    const found = new Set<string>();
    for (const { pattern, methods } of this.#paths) {
      if (pattern.test(path)) for (const method of methods) found.add(method);
    }
    if (found.size === 0) return [];
    if (found.has("GET")) found.add("HEAD");
    return [...found.add("OPTIONS")].sort();
  }
}

function patternOf(shape: string): RegExp {
  const escaped = shape.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll(":", "[^/]+")}$`);
}
