// Writes the pages of docs/ that are made from code. Run after a build: `npm run docs` does both.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { GENERATED_DOCS } from "../dist/test/tidy/generated-docs.js";

for (const [file, make] of Object.entries(GENERATED_DOCS)) {
  writeFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), make());
  process.stdout.write(`${file}\n`);
}
