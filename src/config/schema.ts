/**
 * Every setting of a Holdfast process, in one schema.
 *
 * The same schema parses values (load.ts), writes `docs/settings.md` and feeds `--help`. Names say
 * the unit; the names of variables and flags are derived from them. Settings of the broker and of
 * workers have the defaults of `src/broker/settings.ts` and `src/worker/worker-settings.ts`, which
 * lie above this layer; a test keeps them equal.
 */
import { availableParallelism } from "node:os";
import { z } from "zod";
import {
  ADDRESS_OR_RANGE,
  addresses,
  choice,
  duration,
  name,
  names,
  ORIGIN,
  type SettingFacts,
  settingFacts,
  text,
  texts,
  wholeNumber,
  yesOrNo,
} from "./fields.ts";

const DAY_MS = 86_400_000;

/** The broker address that stands for whatever Redis the settings below it name. */
export const REDIS_BROKER = "redis:";

export const settingsSchema = z.object({
  // Where the broker is
  broker: text(
    "Where the broker is: a folder or `sqlite:FILE` to open; `http://HOST:PORT` or `https://…` of a server, several with commas between them; " +
      "`redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `redis+sentinel://HOST,HOST/MASTER[/DB]` or `redis+cluster://HOST,HOST` " +
      "(`rediss…` with TLS); or `redis:` for the Redis that the settings below name.",
    {
      default: ".holdfast",
      defaultText:
        "`redis:` where `redisUrl`, `redisHost`, `redisSentinels` or `redisClusterNodes` is set, else `.holdfast`",
    },
  ),
  token: text("Token for a server. Where it is given to a server, that server takes it as an administrator's.", {
    default: undefined,
    defaultText: "none",
    secret: true,
  }),
  listenHost: text("Address on which the server of `holdfast up` and `holdfast server` listens.", {
    default: "127.0.0.1",
  }),
  listenPort: wholeNumber("Port on which it listens; 0 takes any free one.", {
    default: 7420,
    min: 0,
    max: 65_535,
  }),

  // Who may come to a server, and what is written down about it
  requireToken: yesOrNo(
    "Whether calls to the server need a token. Without, whoever reaches it from this machine is an administrator.",
    {
      default: undefined,
      defaultText: "no where it listens on this machine only, trusts no proxy and has no `token`, else yes",
    },
  ),
  workerSecret: text(
    "Secret by which workers sign their requests over HTTP. Where it is set, such requests need a signature or a token.",
    { default: undefined, defaultText: "none", secret: true, alsoFrom: "DISTRIBUTED_WORKER_SECRET" },
  ),
  tlsCert: text(
    "File with the certificate of the server, with those that lead to its root; the server then speaks TLS.",
    {
      default: undefined,
      defaultText: "none",
    },
  ),
  tlsKey: text("File with the key of that certificate.", { default: undefined, defaultText: "none" }),
  trustProxy: texts("Proxies before the server that are believed when they say whom they speak for.", {
    type: "addresses",
    pattern: ADDRESS_OR_RANGE,
    expected: "addresses or ranges such as 10.0.0.5 or 10.0.0.0/8",
  }),
  corsOrigins: texts("Origins whose web pages may call the server, exactly as browsers send them.", {
    type: "origins",
    pattern: ORIGIN,
    expected: "origins such as https://lab.example.org",
  }),
  auditLog: text(
    "File of the audit log, one JSON line for every changing call and every refusal; `-` for lines of the log, whatever its level.",
    { default: undefined, defaultText: "`audit.jsonl` beside the store where that is a file, else `-`" },
  ),
  requestsPerSecond: wholeNumber("Requests per second that a server takes with one token; 0 sets no limit.", {
    default: 10_000,
    min: 0,
    max: 1_000_000,
  }),
  maxBodyMb: wholeNumber("Largest body of a request that a server takes; many operations take less.", {
    default: 64,
    unit: "MB",
    min: 1,
    max: 1_024,
  }),

  // A Redis as the broker. What an address says itself wins; the rest of it comes from here.
  namespace: name("What the names of all keys in Redis begin with; brokers of two namespaces do not see each other.", {
    default: "holdfast",
  }),
  shards: wholeNumber(
    "Groups of keys over which executions are spread, so that a Redis Cluster divides the load. Redis keeps the number " +
      "from the first use of a namespace on; whoever says another is refused.",
    { default: 1, min: 1, max: 32 },
  ),
  redisUrl: text("Address of the Redis, in one of the forms that `broker` takes.", {
    default: undefined,
    defaultText: "none",
    secret: true,
    alsoFrom: "REDIS_URL",
  }),
  redisHost: text("Host of the Redis.", { default: undefined, defaultText: "127.0.0.1", alsoFrom: "REDIS_HOST" }),
  redisPort: wholeNumber(
    "Port of the Redis. What Kubernetes puts into `REDIS_PORT` for a service named redis (`tcp://…`) counts as not set.",
    { default: 6_379, min: 1, max: 65_535, alsoFrom: "REDIS_PORT" },
  ),
  redisDb: wholeNumber("Number of the database in Redis; a cluster has only 0.", {
    default: 0,
    min: 0,
    max: 65_535,
    alsoFrom: "REDIS_DB",
  }),
  redisUsername: text("Name of the Redis user, where an access list names some.", {
    default: undefined,
    defaultText: "none",
    alsoFrom: "REDIS_USERNAME",
  }),
  redisPassword: text("Password of the Redis.", {
    default: undefined,
    defaultText: "none",
    secret: true,
    alsoFrom: "REDIS_PASSWORD",
  }),
  redisTls: yesOrNo("Whether connections to Redis are encrypted.", {
    default: undefined,
    defaultText: "yes with `rediss…` or one of the files below",
    alsoFrom: "REDIS_TLS",
  }),
  redisTlsCa: text("File with the certificates of the authorities that Redis's certificate must come from.", {
    default: undefined,
    defaultText: "those that Node trusts",
    alsoFrom: "REDIS_TLS_CA",
  }),
  redisTlsCert: text("File with the certificate that this program shows to Redis.", {
    default: undefined,
    defaultText: "none",
    alsoFrom: "REDIS_TLS_CERT",
  }),
  redisTlsKey: text("File with the key of that certificate.", {
    default: undefined,
    defaultText: "none",
    alsoFrom: "REDIS_TLS_KEY",
  }),
  redisSentinels: addresses("Sentinels that know where the Redis is; port 26379 unless they say.", {
    default: undefined,
    defaultText: "none",
    alsoFrom: "REDIS_SENTINELS",
  }),
  redisSentinelMaster: text("Name under which the sentinels know it.", {
    default: undefined,
    defaultText: "none",
    alsoFrom: "REDIS_SENTINEL_MASTER",
  }),
  redisSentinelUsername: text("Name of the user of the sentinels.", {
    default: undefined,
    defaultText: "none",
    alsoFrom: "REDIS_SENTINEL_USERNAME",
  }),
  redisSentinelPassword: text("Password of the sentinels.", {
    default: undefined,
    defaultText: "none",
    secret: true,
    alsoFrom: "REDIS_SENTINEL_PASSWORD",
  }),
  redisClusterNodes: addresses("Some nodes of a Redis Cluster; port 6379 unless they say.", {
    default: undefined,
    defaultText: "none",
    alsoFrom: "REDIS_CLUSTER_NODES",
  }),

  // Promises of the broker
  heartbeatMs: duration("How often a worker tells the broker that it lives.", { default: 1_000, min: 10 }),
  deadAfterMs: duration(
    "Silence after which a worker counts as dead and its tasks run elsewhere; at least twice `heartbeatMs`.",
    { default: 5_000, min: 50 },
  ),
  socketGraceMs: duration(
    "Time that a worker whose socket closed, or whose connection to Redis is gone, gets to come back before it counts as dead.",
    { default: 200, min: 0 },
  ),
  ageingMs: duration("Waiting this long is worth one step of priority, so that nothing waits for ever.", {
    default: 30_000,
    min: 1,
  }),
  retentionMs: duration("How long an ended execution and its results are kept.", {
    default: 7 * DAY_MS,
    min: 0,
    max: 36_500 * DAY_MS,
  }),
  maxQueueDepth: wholeNumber("Waiting tasks of a pool above which a submit is refused; an array counts as one.", {
    default: 5_000_000,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
  }),
  overdueGraceMs: duration("Time that a worker gets to report a timeout before the coordinator judges in its place.", {
    default: 5_000,
    min: 0,
  }),
  verificationPatienceMs: duration("How long a verification waits for a second worker before it is skipped.", {
    default: 10_000,
    min: 0,
  }),

  // Workers
  workers: wholeNumber("Worker processes that `holdfast up` and `holdfast run` start.", {
    default: availableParallelism(),
    defaultText: "one per CPU core",
    min: 1,
    max: 1_000,
  }),
  concurrency: wholeNumber("Attempts that one worker runs at the same time, each in a process of its own.", {
    default: 1,
    min: 1,
    max: 1_000,
  }),
  prefetch: wholeNumber("Tasks that a worker may claim ahead; short tasks make it use more of them.", {
    default: 256,
    min: 0,
    max: 1_000,
  }),
  pools: names("Pools that a worker serves.", { default: ["default"] }),
  capabilities: names("Capabilities that a worker offers to tasks that require them.", { default: ["cpu"] }),
  idleExitMs: duration(
    "Idle time after which a worker leaves; not while another worker that holds tasks is silent, however short it is.",
    { default: undefined, defaultText: "never", min: 1 },
  ),
  graceMs: duration("Time that an attempt gets to stop before its process is killed.", { default: 5_000, min: 0 }),
  drainMs: duration("Time that a leaving worker gives to what still runs before it hands it back.", {
    default: 30_000,
    min: 0,
  }),
  brokerPatienceMs: duration("Silence of the broker after which a worker gives up.", { default: 60_000, min: 0 }),
  jobs: text(
    "Module whose tasks run jobs that were submitted over HTTP by their type: a job of type `train` calls the task named `train`.",
    { default: undefined, defaultText: "none" },
  ),
  memoryLimitMb: wholeNumber("Memory that one attempt may use, where its task does not say.", {
    default: undefined,
    defaultText: "no limit",
    unit: "MB",
    min: 16,
    max: 1_048_576,
  }),

  // Telling
  logLevel: choice("Least severe log line that is written.", ["debug", "info", "warn", "error", "silent"], {
    default: "warn",
  }),
  logFormat: choice("Form of a log line: for people or for programs.", ["text", "json"], { default: "text" }),
});

export type Settings = Readonly<z.output<typeof settingsSchema>>;
export type SettingName = keyof Settings;

export const SETTING_NAMES = Object.keys(settingsSchema.shape) as readonly SettingName[];

/** `deadAfterMs` → `HOLDFAST_DEAD_AFTER_MS`. */
export function environmentName(name: SettingName): string {
  return `HOLDFAST_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** `deadAfterMs` → `--dead-after-ms`. */
export function flagName(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export function factsOf(name: SettingName): SettingFacts {
  const facts = settingFacts.get(settingsSchema.shape[name]);
  if (facts === undefined) throw new Error(`Setting ${name} has no facts.`);
  return facts;
}

/** The default as a person reads it: `5s`, `default`, `one per CPU core`. */
export function settingDefault(name: SettingName): string {
  const { defaultText, unit } = factsOf(name);
  if (defaultText !== undefined) return defaultText;
  const value: unknown = settingsSchema.parse({})[name];
  if (unit === "ms" && typeof value === "number") return readableDuration(value);
  return Array.isArray(value) ? value.join(",") : String(value);
}

function readableDuration(durationMs: number): string {
  if (durationMs > 0 && durationMs % DAY_MS === 0) return `${durationMs / DAY_MS}d`;
  return durationMs > 0 && durationMs % 1_000 === 0 ? `${durationMs / 1_000}s` : `${durationMs}ms`;
}
