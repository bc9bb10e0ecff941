/**
 * The log. Code takes a Logger and never asks where lines go; the edge (cli, app) makes one.
 *
 * Secrets never reach a line: fields with a secret's name are censored wherever they are nested up
 * to three levels deep, and every finished line is searched for the secrets the caller named and
 * for tokens in addresses and headers, because an error message may quote them.
 */
import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
export type LogFormat = "text" | "json";

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds `fields` to every line; with a level of its own where one is given. */
  child(fields: object, options?: { readonly level: LogLevel }): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes one finished line, newline included: `process.stderr`, a file, a test's array. */
  readonly destination: { write(line: string): unknown };
  /** Texts that must never appear in a line, such as the token in use. */
  readonly secrets?: readonly string[];
}

const CENSOR = "[redacted]";
const SECRET_FIELDS = ["token", "authorization", "password", "secret"];
const SECRET_PATTERNS: readonly RegExp[] = [
  /([?&]token=)[^&\s"']+/gi,
  /(\bBearer )[\w.~+/-]+=*/gi,
  // A token of a server: its id may be known.
  /(\bhf_[\da-z-]{1,64}_)[\w-]+/g,
];

export function createLogger(options: LoggerOptions): Logger {
  const scrub = scrubber(options.secrets ?? []);
  const destination: DestinationStream = {
    write: (line) => {
      options.destination.write(scrub(options.format === "json" ? line : asText(line)));
    },
  };
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err, err: pino.stdSerializers.err },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: CENSOR },
    },
    destination,
  );
  return wrap(root);
}

/** Says nothing. For tests, and for programs that have not asked for a log. */
export const silentLogger: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silentLogger,
};

function ignore(): void {
  // A silent logger's lines go nowhere.
}

function wrap(inner: PinoLogger): Logger {
  return {
    debug: (fields, message) => inner.debug(fields, message),
    info: (fields, message) => inner.info(fields, message),
    warn: (fields, message) => inner.warn(fields, message),
    error: (fields, message) => inner.error(fields, message),
    child: (fields, options) => wrap(options === undefined ? inner.child(fields) : inner.child(fields, options)),
  };
}

function scrubber(secrets: readonly string[]): (line: string) => string {
  const named = secrets.filter((secret) => secret !== "");
  return (line) => {
    let clean = line;
    for (const secret of named) clean = clean.replaceAll(secret, CENSOR);
    for (const pattern of SECRET_PATTERNS) clean = clean.replace(pattern, `$1${CENSOR}`);
    return clean;
  };
}

/** `12:04:05.250 warn  message key=value …`, with a stack on the lines below it. */
function asText(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clockTime = String(time).slice(11, 23);
  const stacks: string[] = [];
  const pairs = Object.entries(fields).map(([name, value]) => {
    if (isSerializedError(value)) {
      stacks.push(value.stack);
      return `${name}=${JSON.stringify(value.message)}`;
    }
    return `${name}=${typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`;
  });
  const head = [clockTime, String(level).padEnd(5), String(msg), ...pairs].join(" ");
  return [head, ...stacks].join("\n") + "\n";
}

function isSerializedError(value: unknown): value is { readonly message: string; readonly stack: string } {
  return typeof value === "object" && value !== null && "message" in value && "stack" in value;
}
