/**
 * Reads the Markdown files of a folder and checks that what they link to is there: by default the pages
 * in `docs/` of this repository.
 *
 *     npx holdfast run examples/workflow/links.ts
 *     npx holdfast run examples/workflow/links.ts --input '{"folder": "/my/notes"}'
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { defineTask, defineWorkflow } from "holdfast";
import { z } from "zod";

/** What a link leads to, without a place within the page; not what has a scheme (`https:`) or is a place in the same page. */
const LINK = /\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)/g;

interface Page {
  readonly file: string;
  readonly words: number;
  readonly links: number;
  /** What is linked to and is not there. */
  readonly broken: readonly string[];
}

export const findPages = defineTask({
  name: "find-pages",
  input: z.object({ folder: z.string() }),
  run: async ({ folder }) => {
    // Relative to the repository, wherever the worker was started.
    const absolute = path.resolve(import.meta.dirname, "../..", folder);
    const names = await readdir(absolute);
    return names
      .filter((name) => name.endsWith(".md"))
      .toSorted()
      .map((name) => path.join(absolute, name));
  },
});

export const checkPage = defineTask({
  name: "check-page",
  input: z.object({ file: z.string() }),
  timeout: "30s",
  retry: 1,
  run: async ({ file }): Promise<Page> => {
    const text = await readFile(file, "utf8");
    const targets = Array.from(text.matchAll(LINK), ([, target = ""]) => target);
    return {
      file: path.basename(file),
      words: text.split(/\s+/).filter((word) => word !== "").length,
      links: targets.length,
      broken: targets.filter((target) => !existsSync(path.resolve(path.dirname(file), target))),
    };
  },
});

export const addUp = defineTask({
  name: "add-up",
  // A page that could not be read is null.
  run: (pages: readonly (Page | null)[]) => {
    const read = pages.filter((page) => page !== null);
    return {
      pages: read.length,
      words: read.reduce((sum, { words }) => sum + words, 0),
      links: read.reduce((sum, { links }) => sum + links, 0),
      broken: read.flatMap(({ file, broken }) => broken.map((target) => `${file}: ${target}`)),
    };
  },
});

export const warn = defineTask({
  name: "warn",
  input: z.object({ broken: z.array(z.string()) }),
  run: ({ broken }) => `Not there: ${broken.join(", ")}`,
});

export default defineWorkflow(
  "links",
  (w) => {
    const pages = w.task("pages", findPages, { input: { folder: w.input("folder") } });
    const checks = w.map("checks", checkPage, {
      over: pages,
      input: (file) => ({ file }),
      continueOnFailure: true,
    });
    const sum = w.task("sum", addUp, { input: checks });
    const warning = w.task("warning", warn, {
      input: { broken: sum.output("broken") },
      condition: "size(outputs.sum.broken) > 0",
    });
    return { pages: sum.output("pages"), words: sum.output("words"), links: sum.output("links"), warning };
  },
  { input: z.object({ folder: z.string() }).default({ folder: "docs" }) },
);
