import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { execute } from "../../../src/cli/main.ts";
import { fakeContext } from "../../fixtures/cli/fake-context.ts";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const fake = fakeContext(environment);
  const code = await execute(args, fake.context);
  return { code, stdout: fake.stdout(), stderr: fake.stderr() };
}

const ESCAPE = "\u001b";
const COMMANDS = [
  "demo",
  "run",
  "validate",
  "up",
  "worker",
  "status",
  "list",
  "results",
  "cancel",
  "pause",
  "resume",
  "signal",
  "approve",
  "edit",
  "rerun",
  "why",
  "dead-letters",
  "pools",
  "token",
  "doctor",
];

describe("help and version", () => {
  test("no arguments, --help and help print all commands and exit with 0", async () => {
    for (const args of [[], ["--help"], ["help"]]) {
      const { code, stdout, stderr } = await run(args);
      assert.equal(code, 0);
      assert.equal(stderr, "");
      for (const command of COMMANDS) assert.match(stdout, new RegExp(`^ {2}${command} `, "m"));
      assert.match(stdout, /Exit codes: 0 done/);
    }
  });

  test("every command has help with an example", async () => {
    for (const command of COMMANDS) {
      const { code, stdout } = await run([command, "--help"]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`Examples?:\\n {2}.*holdfast ${command}`), command);
      assert.deepEqual(await run(["help", command]), { code, stdout, stderr: "" });
    }
  });

  test("--version prints the package's version", async () => {
    const { code, stdout } = await run(["--version"]);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

describe("what is typed wrong gets one sentence, a code and exit code 2", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["dmeo", /Unknown command dmeo\. Did you mean demo\? \[UNKNOWN_COMMAND\]/],
    ["frobnicate", /Unknown command frobnicate\. See holdfast --help\. \[UNKNOWN_COMMAND\]/],
    ["demo --wokers 3", /Unknown option --wokers\. Did you mean --workers\? \[UNKNOWN_OPTION\]/],
    ["demo --wokers=3", /Unknown option --wokers=3\. Did you mean --workers\? \[UNKNOWN_OPTION\]/],
    ["demo -x", /Unknown option -x\. See holdfast demo --help\. \[UNKNOWN_OPTION\]/],
    ["--frob", /Unknown option --frob\. See holdfast --help\. \[UNKNOWN_OPTION\]/],
    ["demo --workers", /--workers is without a value; expected <count>\. \[INVALID_OPTION\]/],
    ["demo --workers 0", /--workers is "0"; expected a whole number from 1 to 64\. \[INVALID_OPTION\]/],
    ["demo --workers 2.5", /--workers is "2\.5"; expected a whole number/],
    ["demo --workers -1", /--workers is "-1"; expected a whole number/],
    ["edit k7m2", /The edit is empty; expected --priority, --remove, --rewire, /],
    ["edit k7m2 --undo --remove 3", /--undo is given with others; expected it alone\. \[INVALID_OPTION\]/],
    ["edit k7m2 --rewire 3", /--rewire is "3"; expected a task and its parents, such as 5=2,4 or deploy=/],
    ["edit k7m2 --rewire 3=1,", /a list of tasks is "1,"; expected numbers or ids with commas between them/],
    ["edit k7m2 --rank 3=-1", /--rank is "3=-1"; expected a task and its rank, such as 5=100\. \[INVALID_OPTION\]/],
    ["pools limit gpu --max few", /--max is "few"; expected a whole number from 0 to 1000000\. \[INVALID_OPTION\]/],
    [
      "edit k7m2 --remove ,3",
      /a list of tasks is ",3"; expected numbers or ids .*, such as 3,7 or docs\. \[INVALID_OPTION\]/,
    ],
    ["edit k7m2 --priority 11", /--priority is "11"; expected a whole number from 1 to 10\. \[INVALID_OPTION\]/],
    ["signal k7m2 go --payload {x", /--payload is "\{x"; expected JSON, such as '.*'\. \[INVALID_OPTION\]/],
    ["approve k7m2", /NODE is missing/],
    ["demo --scale tiny", /--scale is "tiny"; expected one of small, medium, large\. \[INVALID_OPTION\]/],
    ["demo --monitor web", /--monitor is "web"; expected one of none, cli\. \[INVALID_OPTION\]/],
    [
      "demo --fault-demo --workers 1",
      /--workers is 1; expected at least 2, so that somebody survives the kill\. \[INVALID_OPTION\]/,
    ],
    [
      "demo --json /no/such/folder/x.json",
      /--json is .*expected a file in a folder that exists \(there is no \/no\/such\/folder\)/,
    ],
    ["demo --json /", /--json is "\/"; expected a file, not a folder/],
    [
      "demo small",
      /Argument small is one too many; expected holdfast demo \[options\] \[command\]\. \[INVALID_OPTION\]/,
    ],
    ["run", /FILE is missing; expected holdfast run \[options\] <file>\. \[INVALID_OPTION\]/],
    ["run nowhere.ts", /nowhere\.ts could not be loaded: there is no such file/],
    ["cancel", /ID is missing/],
    ["results x --format xml", /--format is "xml"; expected one of json, ndjson, csv/],
    ["list --state done", /--state is "done"; expected one of pending, running/],
    ["list --limit 0", /--limit is "0"; expected a whole number from 1 to 1000/],
    ["up --workers nine", /Setting --workers is "nine"; expected a whole number from 1 to 1000\. \[INVALID_SETTING\]/],
    ["status --broker amqp://here", /"amqp:\/\/here" is no broker address; .*\[INVALID_BROKER_URL\]/],
    [
      "up --broker ws://elsewhere:1",
      /--broker is ws:\/\/elsewhere:1; expected a folder or sqlite:FILE that this command can own, or a Redis/,
    ],
    ["demo --static --broker redis:", /--broker is redis:; expected not to be given with --static/],
    ["demo --broker ws://me:pw@here", /--broker is ws:\/\/\*\*\*@here; expected a Redis; without it the demo/],
    ["token create --role read", /--name is missing; expected <name>\. \[INVALID_OPTION\]/],
    ["token create --name ci --role boss", /--role is "boss"; expected one of admin, submit, worker, read/],
    ["token create --name ci --role read --pools a", /--pools is a; expected only with --role worker/],
    ["token create --name ci --role read --expires soon", /--expires is "soon"; expected a duration such as/],
    ["token make", /Unknown command make\. See holdfast token --help\. \[UNKNOWN_COMMAND\]/],
    ["token revoke", /ID is missing/],
    ["doctor --broker here", /--broker is here; expected a Redis; a folder needs no doctor/],
  ];
  for (const [line, says] of cases) {
    test(`holdfast ${line}`, async () => {
      const { code, stdout, stderr } = await run(line.split(" "));
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, says);
      assert.match(stderr, /^error: [^\n]*\]\n$/);
    });
  }

  test("as JSON from a command that answers in JSON", async () => {
    const { code, stderr } = await run(["status", "--json", "--bogus"]);
    assert.equal(code, 2);
    const { error } = JSON.parse(stderr) as { readonly error: { readonly code: string; readonly message: string } };
    assert.equal(error.code, "UNKNOWN_OPTION");
    assert.match(error.message, /^Unknown option --bogus/);
  });

  test("a wrong variable is named", async () => {
    const { code, stderr } = await run(["status"], { HOLDFAST_WORKRES: "3" });
    assert.equal(code, 2);
    assert.match(stderr, /HOLDFAST_WORKRES.*HOLDFAST_WORKERS/);
  });

  test("HOLDFAST_DEBUG adds the stack, NO_COLOR and a pipe keep escapes away", async () => {
    assert.doesNotMatch((await run(["dmeo"])).stderr, /\n +at /);
    assert.match((await run(["dmeo"], { HOLDFAST_DEBUG: "1" })).stderr, /\n +at /);
    assert.equal((await run(["dmeo"])).stderr.includes(ESCAPE), false);
    assert.ok((await run(["dmeo"], { FORCE_COLOR: "1" })).stderr.startsWith(`${ESCAPE}[31merror:`));
  });
});
