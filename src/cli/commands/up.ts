import { parseBrokerAddress } from "../../app/broker-address.ts";
import type { EmbeddedBroker } from "../../app/embedded-broker.ts";
import { displayAddress } from "../../app/display-address.ts";
import { openBroker, openEmbedded } from "../../app/open-broker.ts";
import { redisOf } from "../../app/redis-target.ts";
import type { Broker } from "../../broker/contract.ts";
import { describeTarget, type RedisTarget } from "../../broker/redis/link/target.ts";
import { environmentName, flagName, settingDefault, type Settings } from "../../config/index.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { CliContext, CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { openLocalCluster } from "../local-cluster.ts";
import { noWorkersOption, settingOption } from "../options.ts";
import { factLines } from "../terminal/facts.ts";
import { counted } from "../terminal/figures.ts";
import type { Logger } from "../../telemetry/log.ts";
import { wrap } from "../terminal/text-width.ts";
import { packageVersion } from "../version.ts";

interface UpFlags {
  readonly broker?: string;
  readonly workers?: string | false;
  readonly concurrency?: string;
  readonly pools?: string;
  readonly capabilities?: string;
  readonly listenHost?: string;
  readonly listenPort?: string;
}

const HELP = `
Other commands in this folder find it by themselves. Ctrl-C or SIGTERM ends it in
order: workers finish what they run or hand it back; executions stay in the store.

With a Redis as the broker nobody listens here: others connect to that Redis.

Examples:
  holdfast up
  holdfast up --broker redis://10.0.0.6:6379 --workers 8
  HOLDFAST_TOKEN=… holdfast up --workers 8 --listen-host 0.0.0.0`;

export function defineUp(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("up")
    .description("Keeps a broker and workers running here, in the foreground.")
    .addOption(settingOption("workers", "count"))
    .addOption(noWorkersOption())
    .addOption(settingOption("concurrency", "count"))
    .addOption(settingOption("pools", "names"))
    .addOption(settingOption("capabilities", "names"))
    .addOption(settingOption("broker", "address"))
    .addOption(settingOption("listenHost", "host"))
    .addOption(settingOption("listenPort", "port"))
    .addHelpText("after", HELP)
    .action(async (flags: UpFlags) => host.finish(await up(host.context, flags)));
}

async function up(context: CliContext, flags: UpFlags): Promise<number> {
  const { workers, ...others } = flags;
  let owned: EmbeddedBroker | undefined;
  const cluster = await openLocalCluster(
    context,
    { ...others, ...(workers === false ? {} : { workers }) },
    async ({ settings, logger }): Promise<Broker> => {
      if (redisOf(settings) !== undefined) return openShared(settings, { logger, flags });
      owned = await openOwned(settings, logger);
      return owned;
    },
  );
  try {
    const count = workers === false ? 0 : cluster.settings.workers;
    if (count > 0) cluster.startWorkers({ count, replaceLost: true, log: "inherit" });
    const { settings } = cluster;
    const target = redisOf(settings);
    const facts =
      target === undefined ? ownerFacts(settings, (await owned?.address())?.url ?? "") : redisFacts(settings, target);
    announce(context, count, facts);
    await Promise.race([aborted(context.interrupts.signal), cluster.workersGone]);
    context.out.print("Stopping: workers finish what they run or hand it back.");
    return 0;
  } finally {
    await cluster.close();
  }
}

function openOwned(settings: Settings, logger: Logger): Promise<EmbeddedBroker> {
  const home = parseBrokerAddress(settings.broker);
  if (home.kind !== "home")
    throw new HoldfastError("INVALID_OPTION", {
      option: "--broker",
      value: displayAddress(settings),
      expected: "a folder or sqlite:FILE that this command can own, or a Redis",
    });
  const { listenHost: host, listenPort: port, token } = settings;
  return openEmbedded({
    home,
    settings,
    logger,
    listen: { host, port },
    mustOwn: true,
    ...(token === undefined ? {} : { token }),
  });
}

function openShared(
  settings: Settings,
  { logger, flags }: { readonly logger: Logger; readonly flags: UpFlags },
): Promise<Broker> {
  const listening = (["listenHost", "listenPort"] as const).find((name) => flags[name] !== undefined);
  if (listening !== undefined)
    throw new HoldfastError("INVALID_OPTION", {
      option: flagName(listening),
      value: flags[listening],
      expected: "not to be given with a Redis, to which workers connect themselves",
    });
  return openBroker(settings.broker, { settings, logger, coordinate: true });
}

type Facts = readonly (readonly [string, string])[];

function announce({ out }: CliContext, count: number, facts: Facts): void {
  const workers = count === 0 ? "no workers of its own" : counted(count, "worker");
  out.print(...wrap(`Holdfast ${packageVersion()} is up with ${workers}.`, out.terminal.columns - 1));
  out.print(...factLines(out, [...facts, ["Stop", "Ctrl-C"]]));
}

function ownerFacts({ broker, token }: Settings, url: string): Facts {
  const home = parseBrokerAddress(broker);
  const tokenPlace = token === undefined && home.kind === "home" ? `in ${home.ownerFile}` : "as HOLDFAST_TOKEN says";
  return [
    ["Store", broker],
    ["Address", url],
    ["Token", tokenPlace],
    ["Run", "holdfast run FILE (in this folder)"],
    ["Add a worker", `HOLDFAST_TOKEN=… holdfast worker --broker ${url}`],
  ];
}

function redisFacts(settings: Settings, target: RedisTarget): Facts {
  const address = describeTarget(target);
  const variables = variablesForOthers(settings, target);
  return [
    ["Store", address],
    ["Namespace", settings.namespace],
    ["Run", `${variables}holdfast run FILE --broker ${address}`],
    ["Add a worker", `${variables}holdfast worker --broker ${address}`],
  ];
}

/** What the address does not say and others must know as well. */
function variablesForOthers({ namespace, shards }: Settings, target: RedisTarget): string {
  const { username, password, sentinelPassword } = target;
  const variables = [
    ...(username === undefined ? [] : ["REDIS_USERNAME=…"]),
    ...(password === undefined ? [] : ["REDIS_PASSWORD=…"]),
    ...(sentinelPassword === undefined ? [] : ["REDIS_SENTINEL_PASSWORD=…"]),
    ...(namespace === settingDefault("namespace") ? [] : [`${environmentName("namespace")}=${namespace}`]),
    ...(String(shards) === settingDefault("shards") ? [] : [`${environmentName("shards")}=${shards}`]),
  ];
  return variables.map((variable) => `${variable} `).join("");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
