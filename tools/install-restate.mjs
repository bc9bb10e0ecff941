// Puts Restate, which the bench of workflows compares with, under node_modules/.cache. It is large and
// its licence is not ours, so it is no dependency: only who measures gets it. Prints the folder.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = { "@restatedev/restate-server": "1.7.12", "@restatedev/restate-sdk": "1.17.2" };

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const folder = path.join(root, "node_modules", ".cache", "restate");
if (!existsSync(path.join(folder, "node_modules", "@restatedev", "restate-sdk"))) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }));
  const { status, stderr } = spawnSync("npm", ["install", "--no-audit", "--no-fund"], {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) {
    process.stderr.write(`Restate could not be installed:\n${stderr}`);
    process.exit(1);
  }
}
process.stdout.write(folder);
