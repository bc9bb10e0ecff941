#!/usr/bin/env node
// Starts the CLI on a Node that is new enough.
//
// This file must parse and run on any Node that knows ES modules, so it uses nothing newer. In a
// clone the pinned runtime of the development dependencies is at hand: an old Node hands over to it,
// with the same arguments and streams, and passes signals and the exit code through.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NEEDED_MAJOR = 24;
const EXIT_RUNTIME_TOO_OLD = 3;
const EXIT_NOT_BUILT = 3;
/** Set for the process we hand over to, so that a pinned runtime that is old itself ends the search. */
const HANDED_OVER = "HOLDFAST_PINNED_RUNTIME";

const packageFolder = join(dirname(realpathSync(fileURLToPath(import.meta.url))), "..");
const handedOver = process.env[HANDED_OVER] === "1";
delete process.env[HANDED_OVER];

if (Number(process.versions.node.split(".")[0]) >= NEEDED_MAJOR) {
  startCli();
} else {
  const runtime = handedOver ? undefined : pinnedRuntime();
  if (runtime === undefined) {
    process.stderr.write(
      `error: Holdfast needs Node ${NEEDED_MAJOR} or newer; this is ${process.versions.node}. [RUNTIME_TOO_OLD]\n`,
    );
    process.exitCode = EXIT_RUNTIME_TOO_OLD;
  } else {
    handOver(runtime);
  }
}

function startCli() {
  const main = join(packageFolder, "dist", "src", "cli", "main.js");
  if (!existsSync(main)) {
    process.stderr.write("error: Holdfast is not built; run npm run build first. [NOT_BUILT]\n");
    process.exitCode = EXIT_NOT_BUILT;
    return;
  }
  void import(pathToFileURL(main).href).then((cli) => cli.runCli());
}

function pinnedRuntime() {
  const name = process.platform === "win32" ? "node.exe" : "node";
  const candidate = join(packageFolder, "node_modules", ".bin", name);
  return existsSync(candidate) ? candidate : undefined;
}

function handOver(runtime) {
  const child = spawn(runtime, process.execArgv.concat(fileURLToPath(import.meta.url), process.argv.slice(2)), {
    stdio: "inherit",
    env: Object.assign({}, process.env, { [HANDED_OVER]: "1" }),
  });
  // A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone does not.
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  signals.forEach((signal) => {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  });
  child.on("error", (error) => {
    process.stderr.write(`error: ${runtime} could not be started: ${error.message}. [RUNTIME_TOO_OLD]\n`);
    process.exitCode = EXIT_RUNTIME_TOO_OLD;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = signal === null ? code : 128 + constants.signals[signal];
  });
}
