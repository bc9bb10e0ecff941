/**
 * The transitions: one Lua file each, in `scripts/`, on top of the library in `scripts/lib/`.
 *
 * A file names the parts of the library that it may need by lines `-- @include lib/NAME`. Servers get
 * the transitions in one of two forms (docs/decisions/0009):
 *  - as one library of functions, which is loaded once, where the server has functions (Redis 7);
 *  - else as scripts, each of which brings along the parts that it names.
 * Whether a server has a newer command is asked once (link) and told in the first line, not guessed inside.
 */
import { readFileSync } from "node:fs";
import { type FunctionLibrary, makeLibrary, makeScript, type Script } from "./link/script.ts";

const SCRIPT_NAMES = [
  "cancel",
  "checkpoint-delete",
  "checkpoint-list",
  "checkpoint-read",
  "checkpoint-save",
  "claim",
  "commit",
  "discard",
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
  "doctor-state",
  "doctor-tasks",
  "doctor-verifications",
  "edit",
  "explain-task",
  "extend",
  "give-back",
  "heard-until",
  "heartbeat",
  "judge-verifications",
  "lead",
  "limit-pool",
  "list-executions",
  "list-held",
  "list-letters",
  "list-sessions",
  "list-tasks",
  "lock-acquire",
  "lock-extend",
  "lock-list",
  "lock-read",
  "lock-release",
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
  "rerun",
  "resume",
  "retry",
  "session-close",
  "session-drain",
  "session-open",
  "signal",
  "state-purge",
  "submit",
  "value-delete",
  "value-list",
  "value-read",
  "value-write",
] as const;

export type ScriptName = (typeof SCRIPT_NAMES)[number];

/** One transition in both forms. */
export interface Transition {
  readonly script: Script;
  /** Its name in the library of functions. */
  readonly functionName: string;
}

export interface Transitions {
  readonly library: FunctionLibrary;
  readonly byName: Readonly<Record<ScriptName, Transition>>;
}

export interface ServerCommands {
  readonly hasXackdel: boolean;
}

const INCLUDE = /^-- @include lib\/([\w-]+)\n/gm;
/** The part that all others stand on: it is there at once, the others when they are first used. */
const BASE = "shard";
/** New work and new state are refused by a server whose memory is full; everything else goes on. */
const REFUSED_WITHOUT_MEMORY: readonly ScriptName[] = ["submit", "extend", "edit", "value-write", "checkpoint-save"];
/** They write nothing, and so no server refuses them. */
const READS: readonly ScriptName[] = [
  "checkpoint-list",
  "checkpoint-read",
  "explain-task",
  "heard-until",
  "list-executions",
  "list-held",
  "list-letters",
  "list-sessions",
  "list-tasks",
  "lock-list",
  "lock-read",
  "read-events",
  "read-results",
  "value-list",
  "value-read",
];

export function loadTransitions(commands: ServerCommands): Transitions {
  const files = SCRIPT_NAMES.map((name) => ({ name, text: readFile(name) }));
  const library = makeLibrary("holdfast", (libraryName) => libraryText(libraryName, files, commands));
  const byName = files.map(({ name, text }) => [
    name,
    { script: makeScript(name, scriptText(name, text, commands)), functionName: functionName(library.name, name) },
  ]);
  return { library, byName: Object.fromEntries(byName) as Transitions["byName"] };
}

function firstLine({ hasXackdel }: ServerCommands, form: "library" | "script"): string {
  return `local HAS_XACKDEL, IS_LIBRARY = ${hasXackdel}, ${form === "library"}\n`;
}

function scriptText(name: ScriptName, text: string, commands: ServerCommands): string {
  const goesOn = ![...REFUSED_WITHOUT_MEMORY, ...READS].includes(name);
  const parts = [...text.matchAll(INCLUDE)].map(([, part = ""]) => part).filter((part) => part !== BASE);
  return [
    firstLine(commands, "script"),
    "local KEYS, ARGV = KEYS, ARGV\n",
    readFile(`lib/${BASE}`),
    ...parts.map(lazyPart),
    `startScript(${goesOn})\n`,
    text.replace(INCLUDE, ""),
  ].join("");
}

function libraryText(
  libraryName: string,
  files: readonly { readonly name: ScriptName; readonly text: string }[],
  commands: ServerCommands,
): string {
  const parts = new Set(files.flatMap(({ text }) => [...text.matchAll(INCLUDE)].map(([, part = ""]) => part)));
  parts.delete(BASE);
  const functions = files.map(({ name, text }) => {
    const flags = REFUSED_WITHOUT_MEMORY.includes(name) ? "" : "'allow-oom'";
    return `redis.register_function{ function_name = '${functionName(libraryName, name)}', flags = { ${flags} },
callback = function(keys, args)
KEYS, ARGV = keys, args
startScript(false)
${text.replace(INCLUDE, "")}end }
`;
  });
  return [
    `#!lua name=${libraryName}\n`,
    firstLine(commands, "library"),
    "local KEYS, ARGV\n",
    readFile(`lib/${BASE}`),
    ...[...parts].map(lazyPart),
    ...functions,
  ].join("");
}

function functionName(libraryName: string, name: ScriptName): string {
  return `${libraryName}_${name.replaceAll("-", "_")}`;
}

function lazyPart(part: string): string {
  return `part(${part}, function()\n${readFile(`lib/${part}`)}end)\n`;
}

function readFile(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8");
}
