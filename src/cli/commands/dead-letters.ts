import type { LetterView } from "../../api/operations/dead-letters.ts";
import { MAX_LETTERS_PER_CALL } from "../../broker/limits.ts";
import { MAX_PAGE } from "../../broker/limits.ts";
import { FAILURE_CLASSES, type FailureClass } from "../../core/failure.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { Client } from "../../sdk/client.ts";
import { letterIdOf, type LetterName, type LetterQuery, parseLetterId } from "../../server/letters.ts";
import { parseDurationMs } from "../../util/units.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { type Handled, letterKeeper, type LetterKeeper, type ShownLetter, type Verb } from "../letter-keeper.ts";
import { choiceOption, settingOption, wholeNumberOption } from "../options.ts";
import { factLines } from "../terminal/facts.ts";
import { ago, count, counted } from "../terminal/figures.ts";
import type { Screen } from "../terminal/screen.ts";
import { type Column, table } from "../terminal/table.ts";
import { printable } from "../terminal/text-width.ts";
import { type OpenedBroker, withBroker } from "../with-broker.ts";

const DEFAULT_LIMIT = 50;
/** Characters shown of an input. */
const INPUT_SHOWN = 2_000;

interface CommonFlags {
  readonly broker?: string;
  readonly json?: boolean;
}

interface FilterFlags extends CommonFlags {
  readonly execution?: string;
  readonly class?: FailureClass;
  readonly name?: string;
  readonly since?: string;
}

interface ListFlags extends FilterFlags {
  readonly limit: number;
}

interface ActFlags extends FilterFlags {
  readonly all?: boolean;
}

const HELP = `
A dead letter is a task that will not be retried by itself. Its id is the
execution and the number of the task, k7m2q9xw4t3v~3, and for items of an array
the first of them as well, k7m2q9xw4t3v~0~100.

Examples:
  holdfast dead-letters
  holdfast dead-letters list --class timeout --since 1h
  holdfast dead-letters show k7m2~3
  holdfast dead-letters replay k7m2~3 k7m2~4
  holdfast dead-letters replay --execution k7m2
  holdfast dead-letters discard --all --name old`;

export function defineDeadLetters(program: HoldfastCommand, host: CommandHost): void {
  const command = program
    .command("dead-letters")
    .description("Lists tasks that were given up, shows them, replays or discards them.")
    .addHelpText("after", HELP);
  filtered(command.command("list", { isDefault: true }))
    .description("Lists dead letters.")
    .option(
      "--limit <count>",
      "At most this many.",
      wholeNumberOption("--limit", { min: 1, max: MAX_PAGE }),
      DEFAULT_LIMIT,
    )
    .action(async (flags: ListFlags) => host.finish(await list(host.context, flags)));
  common(command.command("show"))
    .argument("<id>", "The dead letter.")
    .description("Shows a dead letter with its input and its failure.")
    .action(async (id: string, flags: CommonFlags) => host.finish(await show(host.context, id, flags)));
  for (const [verb, about] of [
    ["replay", "Queues dead letters again, as if they had not been tried yet."],
    ["discard", "Strikes dead letters off the list; their tasks stay failed."],
  ] as const) {
    filtered(command.command(verb))
      .argument("[ids...]", "The dead letters. Without them: those that the options name.")
      .option("--all", "All of them, if no other option says which.")
      .description(about)
      .action(async (ids: readonly string[], flags: ActFlags) =>
        host.finish(await act(host.context, { verb, ids, flags })),
      );
  }
}

function common(command: HoldfastCommand): HoldfastCommand {
  return command.addOption(settingOption("broker", "address")).option("--json", "Prints JSON.");
}

function filtered(command: HoldfastCommand): HoldfastCommand {
  return common(command)
    .option("--execution <id>", "Of this execution; the beginning of its id will do.")
    .option(
      "--class <class>",
      `Whose last failure was of this class: ${FAILURE_CLASSES.join(", ")}.`,
      choiceOption("--class", FAILURE_CLASSES),
    )
    .option("--name <text>", "Where the name of the task or of its execution contains this.")
    .option("--since <time>", "Given up within this time, such as 30m or 2d.");
}

async function queryOf(context: CliContext, client: Client, flags: FilterFlags): Promise<LetterQuery> {
  const { execution, class: failureClass, name, since } = flags;
  return {
    ...(execution === undefined ? {} : { execution: (await client.get(execution)).id }),
    ...(failureClass === undefined ? {} : { class: failureClass }),
    ...(name === undefined ? {} : { name }),
    ...(since === undefined ? {} : { since: context.clock.now() - parseDurationMs(since, "--since") }),
  };
}

async function list(context: CliContext, flags: ListFlags): Promise<number> {
  const { out, clock } = context;
  const page = await withBroker(context, flags, async (opened) =>
    firstLetters(await letterKeeper(opened), await queryOf(context, opened.client, flags), flags.limit),
  );
  if (flags.json === true) out.raw(`${JSON.stringify(page, null, 2)}\n`);
  else if (page.letters.length === 0) out.print(...sentence(out, "There are no such dead letters."));
  else {
    out.print(...letterTable(out, page.letters, clock.now()));
    if (page.more) out.print("", ...sentence(out, "There are more; see them with --limit.").map(out.theme.faint));
  }
  return 0;
}

/** Pages may be short: reads on until there are enough. */
async function firstLetters(
  keeper: LetterKeeper,
  query: LetterQuery,
  limit: number,
): Promise<{ readonly letters: readonly LetterView[]; readonly more: boolean }> {
  const letters: LetterView[] = [];
  let after: string | undefined;
  do {
    const page = await keeper.list({
      ...query,
      limit: limit - letters.length,
      ...(after === undefined ? {} : { after }),
    });
    letters.push(...page.letters);
    after = page.next;
  } while (after !== undefined && letters.length < limit);
  return { letters, more: after !== undefined };
}

function letterTable(out: Screen, letters: readonly LetterView[], now: number): string[] {
  const columns: readonly Column[] = [
    { title: "ID" },
    { title: "NAME", shrinkTo: 8 },
    { title: "CLASS" },
    { title: "FAILURE", shrinkTo: 12 },
    { title: "SINCE", align: "right" },
  ];
  const rows = letters.map(({ id, name, executionName, failure, at }) => [
    id,
    printable(name ?? executionName ?? ""),
    failure.class,
    printable(failure.message),
    ago(now - at),
  ]);
  return table(columns, rows, out);
}

/** The letter's name, its execution found by the beginning of its id. */
async function resolve(client: Client, id: string): Promise<LetterName> {
  if (!/^[^~]+~\d{1,8}(?:~\d{1,16})?$/.test(id)) {
    throw new HoldfastError("INVALID_OPTION", {
      option: "ID",
      value: JSON.stringify(id),
      expected: "EXECUTION~TASK, or EXECUTION~TASK~START for items of an array",
    });
  }
  const letter = parseLetterId(id);
  return { ...letter, executionId: (await client.get(letter.executionId)).id };
}

async function show(context: CliContext, id: string, flags: CommonFlags): Promise<number> {
  const { out } = context;
  const letter = await withBroker(context, flags, async (opened) =>
    (await letterKeeper(opened)).show(await resolve(opened.client, id)),
  );
  if (flags.json === true) out.raw(`${JSON.stringify(letter, null, 2)}\n`);
  else
    out.print(...factLines(out, letterFacts(letter, context.clock.now())), ...stackLines(letter).map(out.theme.faint));
  return 0;
}

/** Where it was thrown: the message stands above. */
function stackLines({ failure }: ShownLetter): string[] {
  const [, ...frames] = (failure.stack ?? "").split(/\n(?= +at )/);
  return frames.length === 0 ? [] : ["", ...frames.map(printable)];
}

function letterFacts(letter: ShownLetter, now: number): (readonly [string, string])[] {
  const { failure, start, end, input } = letter;
  return [
    ["Dead letter", letter.id],
    [
      "Task",
      printable(`${count(letter.task)} (${letter.name ?? "unknown"}) of ${letter.executionName ?? letter.executionId}`),
    ],
    ...(start === undefined || end === undefined ? [] : ([["Items", `${count(start)} to ${count(end - 1)}`]] as const)),
    ["Given up", ago(now - letter.at)],
    ["Tries", `${counted(letter.failures, "failure")}, ${letter.losses} lost`],
    ["Failure", printable(`${failure.message} (${failure.class})`)],
    ...(input === undefined ? [] : ([["Input", printable(input.slice(0, INPUT_SHOWN))]] as const)),
    ["Replay", `holdfast dead-letters replay ${letter.id}`],
  ];
}

interface ActParams {
  readonly verb: Verb;
  readonly ids: readonly string[];
  readonly flags: ActFlags;
}

async function act(context: CliContext, params: ActParams): Promise<number> {
  const { flags, verb } = params;
  requireChoice(params);
  const { out } = context;
  const acted = await withBroker(context, flags, (opened) => handle(context, opened, params));
  if (flags.json === true) out.raw(`${JSON.stringify(acted, null, 2)}\n`);
  else {
    const done = verb === "replay" ? "queued again" : "discarded";
    out.print(
      ...sentence(out, `${counted(acted.letters, "dead letter")} found, ${counted(acted.changed, "item")} ${done}.`),
    );
    for (const { error } of acted.problems) out.print(...sentence(out, printable(error)).map(out.theme.warning));
  }
  return acted.problems.length === 0 ? 0 : 1;
}

/** Nothing is done to all of them by a slip. */
function requireChoice({ ids, flags, verb }: ActParams): void {
  const hasFilter = [flags.execution, flags.class, flags.name, flags.since].some((filter) => filter !== undefined);
  const refuse = (option: string, value: string, expected: string): never => {
    throw new HoldfastError("INVALID_OPTION", { option, value, expected });
  };
  if (ids.length > 0 && (hasFilter || flags.all === true)) refuse("IDS", "given with filters", "one of the two");
  if (ids.length === 0 && !hasFilter && flags.all !== true)
    refuse("IDS", "missing", `ids, filters, or --all: holdfast dead-letters ${verb} --all`);
}

async function handle(context: CliContext, opened: OpenedBroker, params: ActParams): Promise<Omit<Handled, "next">> {
  const { client } = opened;
  const keeper = await letterKeeper(opened);
  const limit = MAX_LETTERS_PER_CALL;
  if (params.ids.length > 0) {
    const names = await Promise.all(params.ids.map((id) => resolve(client, id)));
    return keeper.handle(params.verb, { ids: names.map(letterIdOf), limit });
  }
  const query = await queryOf(context, client, params.flags);
  const sum = { changed: 0, letters: 0, problems: [] as Handled["problems"][number][] };
  let cursor: string | undefined;
  do {
    const part = await keeper.handle(params.verb, { query, limit, ...(cursor === undefined ? {} : { cursor }) });
    sum.changed += part.changed;
    sum.letters += part.letters;
    sum.problems.push(...part.problems);
    cursor = part.next;
  } while (cursor !== undefined);
  return sum;
}
