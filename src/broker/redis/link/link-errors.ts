/** What can become of a command besides its reply. */

/** The connection broke before the reply came. */
export class LinkBroken extends Error {
  override readonly name = "LinkBroken";
  /** The command may have been performed. False: it surely was not. */
  readonly sent: boolean;

  constructor(problem: string, sent: boolean) {
    super(problem);
    this.sent = sent;
  }
}

/** The server answered with an error. */
export class RedisRefusal extends Error {
  override readonly name = "RedisRefusal";
  /** The first word: `OOM`, `NOPERM`, `ERR`, or what a script of ours put there. */
  readonly code: string;
  /** The whole. */
  readonly text: string;

  constructor(text: string) {
    super(text);
    this.text = text;
    this.code = /^\S*/.exec(text)?.[0] ?? "";
  }
}

/** Answers of a server that is up and yet not the one to talk to now; the command was not performed. */
const NOT_NOW = new Set(["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "UNBLOCKED"]);

export function isNotNow(refusal: RedisRefusal): boolean {
  return NOT_NOW.has(refusal.code);
}

const LASTING_CODES = new Set(["WRONGPASS", "NOAUTH", "NOPERM"]);

/** Texts behind `ERR`: about passwords, databases, and servers that are of another kind. */
const LASTING_TEXTS =
  /^ERR (?:invalid password|AUTH |Client sent AUTH|DB index|invalid DB index|SELECT is not allowed|This instance has cluster support disabled|unknown command .SENTINEL)/i;

/** Answers to a greeting that stay the same until somebody changes a password, a right or an address. */
export function isLasting({ code, text }: RedisRefusal): boolean {
  return LASTING_CODES.has(code) || LASTING_TEXTS.test(text);
}
