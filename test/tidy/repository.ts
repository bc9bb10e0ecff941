/** The files of this repository, as the tidy tests look at them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { scan, siblingsOf, type SourceText, specifiersOf } from "./source-text.ts";

/** The tests run from sources and from the built package alike, so the root is looked for. */
export const ROOT = findRoot(path.dirname(fileURLToPath(import.meta.url)));

function findRoot(folder: string): string {
  return existsSync(path.join(folder, "package.json")) ? folder : findRoot(path.dirname(folder));
}

/** Paths from the root, with forward slashes, sorted; of one folder and all below it. */
export function filesIn(folder: string, suffix: string): string[] {
  const absolute = path.join(ROOT, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"))
    .sort();
}

export function read(file: string): string {
  return readFileSync(path.join(ROOT, file), "utf8");
}

export function exists(file: string): boolean {
  return existsSync(path.join(ROOT, file));
}

export interface SourceFile extends SourceText {
  /** From the root: `src/core/retry.ts`. */
  readonly file: string;
  /** Files of this repository that it imports, types included. */
  readonly imports: readonly string[];
  /** Files that it names for another process to load. */
  readonly siblings: readonly string[];
  /** Packages and built-in modules that it imports. */
  readonly packages: readonly string[];
}

export function sourceFiles(folder: string): SourceFile[] {
  return filesIn(folder, ".ts").map((file) => {
    const source = scan(read(file));
    const specifiers = specifiersOf(source);
    const resolve = (specifier: string): string => path.posix.join(path.posix.dirname(file), specifier);
    return {
      ...source,
      file,
      imports: specifiers.filter((specifier) => specifier.startsWith(".")).map(resolve),
      siblings: siblingsOf(source).map((sibling) => resolve(`${sibling}.ts`)),
      packages: specifiers.filter((specifier) => !specifier.startsWith(".")),
    };
  });
}

/** The program and the package's entries, as package.json and bin/ name them. */
export function entryFiles(): string[] {
  const manifest = JSON.parse(read("package.json")) as { exports: unknown; bin: Record<string, string> };
  const programs = Object.values(manifest.bin).map((file) => read(file));
  // A program may give the parts of the path one by one: "dist", "src", "cli", "main.js".
  const naming = [JSON.stringify(manifest.exports), ...programs].join("\n").replaceAll(/",\s*"/g, "/");
  return [...new Set([...naming.matchAll(/dist\/(src\/[\w./-]+?)\.js/g)].map((found) => `${found[1]}.ts`))];
}
