// Before a build: removes compiled files whose source is gone, so that no test or program runs code
// that is no longer there. If an output is missing instead, the compiler's memory of what it wrote is
// dropped, so that it writes everything again.
import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = path.join(root, "dist");
const OUTPUT = /(\.d\.ts|\.js\.map|\.js)$/;

function filesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

for (const output of filesIn(dist)) {
  const isCompiled = OUTPUT.test(output);
  if (isCompiled && !existsSync(path.join(root, output.replace(OUTPUT, ".ts")))) rmSync(path.join(dist, output));
}

const isIncomplete = ["src", "test", "bench", "examples"].some((folder) =>
  filesIn(path.join(root, folder))
    .filter((source) => source.endsWith(".ts") && !source.endsWith(".d.ts"))
    .some((source) => !existsSync(path.join(dist, folder, source.replace(/\.ts$/, ".js")))),
);
if (isIncomplete) rmSync(path.join(dist, ".tsbuildinfo"), { force: true });
