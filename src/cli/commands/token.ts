import { type Role, ROLES } from "../../api/operation.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { MadeToken, NewToken, TokenView } from "../../server/access/token-store.ts";
import { parseDurationMs } from "../../util/units.ts";
import type { CliContext, CommandHost } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { choiceOption, settingOption } from "../options.ts";
import { factLines } from "../terminal/facts.ts";
import { ago, duration } from "../terminal/figures.ts";
import { type Column, table } from "../terminal/table.ts";
import { printable } from "../terminal/text-width.ts";
import { withTokens } from "../token-keeper.ts";

interface TokenFlags {
  readonly broker?: string;
  readonly json?: boolean;
}

interface CreateFlags extends TokenFlags {
  readonly name?: string;
  readonly role?: Role;
  readonly pools?: string;
  readonly expires?: string;
}

const HELP = `
Roles: admin may do everything; submit may submit, steer, look and use shared
state; worker may work and use shared state; read may look.

With a folder or a Redis as the broker the store itself is changed: that needs no
token. With a server it needs the token of an administrator in HOLDFAST_TOKEN.

Examples:
  holdfast token create --name ci --role submit --expires 30d
  holdfast token create --name gpu-fleet --role worker --pools gpu,train
  holdfast token list --broker redis://10.0.0.6:6379
  holdfast token revoke k7m2q9xw4t3v`;

export function defineToken(program: HoldfastCommand, host: CommandHost): void {
  const command = program
    .command("token")
    .description("Makes, lists and revokes the tokens that let programs and people into a server.")
    .addHelpText("after", HELP);
  command
    .command("create")
    .description("Makes a token and prints it, this once.")
    .option("--name <name>", "What it is for.")
    .option("--role <role>", `What it may do: ${ROLES.join(", ")}.`, choiceOption("--role", ROLES))
    .option("--pools <names>", "Only with --role worker: the pools that it may serve. Default: all.")
    .option("--expires <time>", "How long it is good, such as 12h or 30d. Default: until it is revoked.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints JSON.")
    .action(async (flags: CreateFlags) => host.finish(await create(host.context, flags)));
  command
    .command("list")
    .description("Lists the tokens, without their secrets.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints JSON.")
    .action(async (flags: TokenFlags) => host.finish(await list(host.context, flags)));
  command
    .command("revoke")
    .argument("<id>", "The token's id, as `holdfast token list` shows it.")
    .description("Revokes a token: within two seconds no server takes it any more.")
    .addOption(settingOption("broker", "address"))
    .option("--json", "Prints JSON.")
    .action(async (id: string, flags: TokenFlags) => host.finish(await revoke(host.context, id, flags)));
}

async function create(context: CliContext, flags: CreateFlags): Promise<number> {
  const { out } = context;
  const wanted = await wantedToken(flags);
  const made = await withTokens(context, flags, (keeper) => keeper.create(wanted));
  if (flags.json === true) out.raw(`${JSON.stringify(made, null, 2)}\n`);
  else out.print(...madeLines(context, made));
  return 0;
}

async function wantedToken(flags: CreateFlags): Promise<Omit<NewToken, "createdBy">> {
  const { newTokenSchema } = await import("../../api/operations/tokens.ts");
  const { role = missing("--role", "<role>"), name = missing("--name", "<name>") } = flags;
  if (flags.pools !== undefined && role !== "worker") {
    throw new HoldfastError("INVALID_OPTION", {
      option: "--pools",
      value: flags.pools,
      expected: "only with --role worker",
    });
  }
  const pools = flags.pools?.split(",").map((pool) => pool.trim());
  const wanted = {
    name,
    role,
    ...(pools === undefined ? {} : { pools }),
    ...(flags.expires === undefined ? {} : { expiresInMs: parseDurationMs(flags.expires, "--expires") }),
  };
  const parsed = newTokenSchema.safeParse(wanted);
  if (parsed.success) return wanted;
  const { path = [], message: problem = "" } = parsed.error.issues[0] ?? {};
  const [option, value] = ({ pools: ["--pools", flags.pools], expiresInMs: ["--expires", flags.expires] } as const)[
    path[0] as "pools" | "expiresInMs"
  ] ?? ["--name", name];
  throw new HoldfastError("INVALID_OPTION", {
    option,
    value: JSON.stringify(value),
    expected: `something else: ${problem}`,
  });
}

function madeLines({ out, clock }: CliContext, made: MadeToken): string[] {
  return [
    // Whole on one line, so that it can be copied.
    made.token,
    "",
    ...factLines(out, [
      ["Id", made.id],
      ["Name", printable(made.name)],
      ["Role", made.role],
      ...(made.role === "worker" ? [["Pools", (made.pools ?? ["all"]).join(", ")] as const] : []),
      ["Expires", expiryOf(made, clock.now())],
    ]),
    "",
    ...sentence(out, "It cannot be shown again. Programs read it from HOLDFAST_TOKEN."),
  ];
}

async function list(context: CliContext, flags: TokenFlags): Promise<number> {
  const { out, clock } = context;
  const tokens = await withTokens(context, flags, (keeper) => keeper.list());
  if (flags.json === true) out.raw(`${JSON.stringify({ tokens }, null, 2)}\n`);
  else if (tokens.length === 0)
    out.print(...sentence(out, "There are no tokens. Make one with: holdfast token create"));
  else out.print(...tokenTable(out, tokens, clock.now()));
  return 0;
}

function tokenTable(look: CliContext["out"], tokens: readonly TokenView[], now: number): string[] {
  const columns: readonly Column[] = [
    { title: "ID" },
    { title: "NAME", shrinkTo: 8 },
    { title: "ROLE" },
    { title: "POOLS", shrinkTo: 6 },
    { title: "MADE", align: "right" },
    {
      title: "EXPIRES",
      align: "right",
      paint: (cell, bare) => (bare === "expired" ? look.theme.bad(cell) : cell),
    },
  ];
  const rows = tokens.map((token) => [
    token.id,
    printable(token.name),
    token.role,
    token.pools?.join(",") ?? "",
    ago(now - token.createdAt),
    expiryOf(token, now),
  ]);
  return table(columns, rows, look);
}

function expiryOf({ expiresAt, expired }: TokenView, now: number): string {
  if (expiresAt === undefined) return "never";
  return expired ? "expired" : `in ${duration(expiresAt - now)}`;
}

async function revoke(context: CliContext, id: string, flags: TokenFlags): Promise<number> {
  const { out } = context;
  await withTokens(context, flags, (keeper) => keeper.revoke(id));
  if (flags.json === true) out.raw(`${JSON.stringify({ revoked: id })}\n`);
  else out.print(...sentence(out, `Token ${id} is revoked.`));
  return 0;
}

function missing(option: string, expected: string): never {
  throw new HoldfastError("INVALID_OPTION", { option, value: "missing", expected });
}
