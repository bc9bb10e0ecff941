/**
 * What the place we print to can show: asked once, passed on as plain data, so that everything that
 * draws is a function of data and can be tested without a terminal.
 */
export interface Terminal {
  /** A person watches and lines may be redrawn. False in a pipe, a file, a CI log. */
  readonly interactive: boolean;
  readonly colour: boolean;
  /** Box lines, blocks and check marks; else plain ASCII. */
  readonly unicode: boolean;
  /** Cells per line; `Infinity` where lines are not wrapped (pipes, files). */
  readonly columns: number;
}

export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Below this a screen is not laid out any narrower. */
export const NARROWEST_COLUMNS = 20;
const USUAL_COLUMNS = 80;

export function detectTerminal(stream: OutputStream, environment: Environment): Terminal {
  const isTerminal = stream.isTTY === true;
  const dumb = environment["TERM"] === "dumb";
  return {
    interactive: isTerminal && !dumb,
    colour: wantsColour(environment, isTerminal && !dumb),
    unicode: !dumb && speaksUnicode(environment),
    columns: isTerminal ? Math.max(NARROWEST_COLUMNS, stream.columns ?? USUAL_COLUMNS) : Infinity,
  };
}

/** FORCE_COLOR beats NO_COLOR beats what the terminal can do, as in Node itself. */
function wantsColour(environment: Environment, capable: boolean): boolean {
  const forced = environment["FORCE_COLOR"];
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  const refused = environment["NO_COLOR"];
  if (refused !== undefined && refused !== "") return false;
  return capable;
}

/** The first locale variable that is set decides; without any, today's terminals speak UTF-8. */
function speaksUnicode(environment: Environment): boolean {
  const locale = [environment["LC_ALL"], environment["LC_CTYPE"], environment["LANG"]].find(
    (value) => value !== undefined && value !== "",
  );
  return locale === undefined || /utf-?8/i.test(locale);
}
