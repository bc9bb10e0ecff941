/**
 * The points of a submitted space, open for reading. A parameter file stays open as long as its
 * points are read, so whoever opens must close.
 */
import { compileSpace, type CompiledSpace, type SpaceSpec } from "../core/space.ts";

export interface Points {
  /** The point of an item; undefined when this process cannot know it. */
  at(index: number): unknown;
  close(): void;
}

/** Errors: INVALID_SPACE, PARAMETER_FILE_UNUSABLE, PARAMETER_FILE_CHANGED. */
export async function openSpace(spec: SpaceSpec): Promise<CompiledSpace & Points> {
  if (!readsFile(spec)) {
    const space = compileSpace(spec);
    return { length: space.length, at: (index) => space.at(index), close: nothingToClose };
  }
  // Its parser is large, and most sweeps read no file.
  const { openRowFile } = await import("../util/row-file.ts");
  const opened: { close(): void }[] = [];
  const close = (): void => opened.splice(0).forEach((file) => file.close());
  try {
    const space = compileSpace(spec, (file) => {
      const rows = openRowFile(file);
      opened.push(rows);
      return rows;
    });
    return { length: space.length, at: (index) => space.at(index), close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

export function pointsFrom(at: (index: number) => unknown): () => Promise<Points> {
  return () => Promise.resolve({ at, close: nothingToClose });
}

function readsFile(spec: SpaceSpec): boolean {
  if (spec.kind === "grid" || spec.kind === "zip") return Object.values(spec.dimensions).some(readsFile);
  return spec.kind === "file";
}

function nothingToClose(): void {
  // Computed points hold nothing open.
}
