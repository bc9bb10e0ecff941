/**
 * What `up` and `server` do: keep a broker, a server before it and perhaps workers running here, in
 * the foreground, until somebody ends it.
 *
 * A broker in a folder is owned by this process: others in the folder reach it by the owner's note,
 * everybody else by the server. A Redis is nobody's: several of these commands may run on it, and any
 * of their servers will do.
 */
import { parseBrokerAddress } from "../app/broker-address.ts";
import { displayAddress } from "../app/display-address.ts";
import { openBroker, openEmbedded } from "../app/open-broker.ts";
import type { OpenedServer } from "../app/open-server.ts";
import { redisOf } from "../app/redis-target.ts";
import type { Broker } from "../broker/contract.ts";
import { describeTarget, type RedisTarget } from "../broker/redis/link/target.ts";
import { environmentName, settingDefault, type SettingName, type Settings } from "../config/index.ts";
import { HoldfastError } from "../errors/index.ts";
import type { Logger } from "../telemetry/log.ts";
import type { CliContext } from "./context.ts";
import { type LocalCluster, openLocalCluster } from "./local-cluster.ts";
import { factLines } from "./terminal/facts.ts";
import { counted } from "./terminal/figures.ts";
import { wrap } from "./terminal/text-width.ts";
import { packageVersion } from "./version.ts";

export type ServingFlags = Readonly<Partial<Record<SettingName, unknown>>>;

export interface Serving {
  /** Completes "Holdfast 1.0 …". */
  readonly what: "is up" | "serves";
  readonly workers: boolean;
  readonly server: boolean;
}

/** Runs until it is interrupted; resolves with the exit code. */
export async function serve(context: CliContext, flags: ServingFlags, serving: Serving): Promise<number> {
  const cluster = await openLocalCluster(context, flags, async (how) => {
    const store = await openOwn(how);
    return { broker: store, store };
  });
  let server: OpenedServer | undefined;
  try {
    if (serving.server) server = await openServerOf(context, cluster);
    const count = serving.workers ? cluster.settings.workers : 0;
    if (count > 0) cluster.startWorkers({ count, replaceLost: true, log: "inherit" });
    announce(context, { settings: cluster.settings, server, count, serving });
    await Promise.race([aborted(context.interrupts.signal), cluster.workersGone]);
    context.out.print(
      count > 0
        ? "Stopping: workers finish what they run or hand it back."
        : "Stopping: what is under way is answered.",
    );
    return 0;
  } finally {
    // Workers of this command do not need the server; those elsewhere go on with the next one.
    await server?.close();
    await cluster.close();
  }
}

function openOwn({ settings, logger }: { readonly settings: Settings; readonly logger: Logger }): Promise<Broker> {
  if (redisOf(settings) !== undefined) return openBroker(settings.broker, { settings, logger, coordinate: true });
  const home = parseBrokerAddress(settings.broker);
  if (home.kind !== "home")
    throw new HoldfastError("INVALID_OPTION", {
      option: "--broker",
      value: displayAddress(settings),
      expected: "a folder or sqlite:FILE that this command can own, or a Redis",
    });
  return openEmbedded({ home, settings, logger, mustOwn: true });
}

async function openServerOf({ out }: CliContext, { settings, logger, store }: LocalCluster): Promise<OpenedServer> {
  if (store === undefined) throw new HoldfastError("INTERNAL", { problem: "a server was to be put before a server" });
  // Loaded by the commands that serve: no other needs an HTTP server.
  const { openServer } = await import("../app/open-server.ts");
  return openServer({
    broker: store,
    settings,
    logger,
    version: packageVersion(),
    onFirstToken: (token) =>
      out.print(
        ...wrap("The first token, for an administrator. It is shown this once; keep it:", out.terminal.columns - 1),
        `  ${token}`,
      ),
  });
}

interface Announced {
  readonly settings: Settings;
  readonly server: OpenedServer | undefined;
  readonly count: number;
  readonly serving: Serving;
}

type Facts = readonly (readonly [string, string])[];

function announce({ out }: CliContext, { settings, server, count, serving }: Announced): void {
  const workers = count === 0 ? "no workers of its own" : counted(count, "worker");
  out.print(...wrap(`Holdfast ${packageVersion()} ${serving.what} with ${workers}.`, out.terminal.columns - 1));
  const target = redisOf(settings);
  const facts: Facts = [
    ...(target === undefined ? [["Store", settings.broker] as const] : redisFacts(settings, target)),
    ...(server === undefined ? [] : serverFacts(settings, server)),
    ...joinFacts(settings, target, server),
    ["Stop", "Ctrl-C"],
  ];
  out.print(...factLines(out, facts));
}

function redisFacts({ namespace }: Settings, target: RedisTarget): Facts {
  return [
    ["Store", describeTarget(target)],
    ["Namespace", namespace],
  ];
}

function serverFacts({ token }: Settings, { url, needsToken }: OpenedServer): Facts {
  const how = token === undefined ? "`holdfast token create`" : "as HOLDFAST_TOKEN says, or `holdfast token create`";
  return [
    ["Address", url],
    ["Token", needsToken ? how : "not needed from this machine"],
  ];
}

function joinFacts(settings: Settings, target: RedisTarget | undefined, server: OpenedServer | undefined): Facts {
  if (target !== undefined) {
    const [address, variables] = [describeTarget(target), variablesForOthers(settings, target)];
    return [
      ["Run", `${variables}holdfast run FILE --broker ${address}`],
      ["Add a worker", `${variables}holdfast worker --broker ${address}`],
    ];
  }
  const token = server?.needsToken === true ? "HOLDFAST_TOKEN=… " : "";
  return [
    ["Run", "holdfast run FILE (in this folder)"],
    ...(server === undefined
      ? []
      : [["Add a worker", `${token}holdfast worker --broker ${urlElsewhere(server)}`] as const]),
  ];
}

/** As others reach it: where it listens on every interface, they must know a name of this machine. */
function urlElsewhere({ url }: OpenedServer): string {
  return url.replace(/\/\/(?:0\.0\.0\.0|\[::\])(?=:)/, "//HOST");
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
