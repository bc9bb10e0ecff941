/**
 * The transitions: one Lua script each, in `scripts/`, on top of the library in `scripts/lib/`.
 *
 * A script names the parts of the library that it may need by lines `-- @include lib/NAME`; they are put
 * in their place here, each as a function that fills the part's table (lib/shard.lua). The first line of what a server gets says which of the newer commands it has,
 * because that was asked once (link) and is not to be guessed inside.
 */
import { readFileSync } from "node:fs";
import { makeScript, type Script } from "./link/script.ts";

const SCRIPT_NAMES = [
  "cancel",
  "claim",
  "commit",
  "doctor-again",
  "doctor-array",
  "doctor-bury",
  "doctor-keys",
  "doctor-leases",
  "doctor-lists",
  "doctor-order",
  "doctor-pools",
  "doctor-recount",
  "doctor-requeue",
  "doctor-tasks",
  "doctor-verifications",
  "extend",
  "heard-until",
  "heartbeat",
  "judge-verifications",
  "lead",
  "list-held",
  "list-tasks",
  "pause",
  "pause-pool",
  "pending-verifications",
  "promote-due",
  "purge",
  "read-events",
  "read-results",
  "reap-overdue",
  "reap-sessions",
  "reconcile",
  "resume",
  "session-close",
  "session-drain",
  "session-open",
  "submit",
] as const;

export type ScriptName = (typeof SCRIPT_NAMES)[number];

export type Scripts = Readonly<Record<ScriptName, Script>>;

export interface ServerCommands {
  readonly hasXackdel: boolean;
}

const INCLUDE = /^-- @include lib\/([\w-]+)\n/gm;
/** The part that all others stand on: it is there at once, the others when they are first used. */
const BASE = "shard";

export function loadScripts({ hasXackdel }: ServerCommands): Scripts {
  const entries = SCRIPT_NAMES.map((name) => {
    const text = readFile(name).replace(INCLUDE, (_, part: string) => included(part));
    return [name, makeScript(name, `local HAS_XACKDEL = ${hasXackdel}\n${text}`)];
  });
  return Object.fromEntries(entries) as Scripts;
}

function included(part: string): string {
  const text = readFile(`lib/${part}`);
  return part === BASE ? `${text}\n` : `part(${part}, function()\n${text}end)\n`;
}

function readFile(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8");
}
