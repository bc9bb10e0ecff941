import { readFileSync } from "node:fs";
import { HoldfastError } from "../errors/index.ts";

let version: string | undefined;

/** The version that package.json states. It lies above this file, at one depth in the sources and at another in the build. */
export function packageVersion(): string {
  version ??= findVersion(import.meta.url);
  return version;
}

function findVersion(from: string): string {
  for (let folder = new URL(".", from); ; folder = new URL("..", folder)) {
    try {
      const manifest = JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as {
        readonly name?: string;
        readonly version?: string;
      };
      if (manifest.name === "holdfast" && manifest.version !== undefined) return manifest.version;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
    }
    if (new URL("..", folder).href === folder.href)
      throw new HoldfastError("INTERNAL", { problem: "package.json of holdfast was not found" });
  }
}
