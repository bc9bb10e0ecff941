/**
 * Reads TypeScript just well enough for rules about text: which parts are code, comment, or string.
 *
 * The compiler in use offers no parser to programs, so this is a small scanner. It keeps every
 * character at its place: blanked parts become spaces, line ends stay.
 */

export interface SourceText {
  /** The file as it stands. */
  readonly text: string;
  /** The same length, with comments and the inside of strings, templates and patterns blanked. */
  readonly code: string;
}

/** After one of these a slash starts a pattern; after anything else it divides. */
const BEFORE_PATTERN = /(?:^|[([{,;:=!&|?+\-*%<>~^}]|\b(?:return|typeof|case|in|of|void|yield|await|else|do))\s*$/;

export function scan(text: string): SourceText {
  return { text, code: new Scanner(text).blanked() };
}

class Scanner {
  readonly #text: string;
  #at = 0;
  #code = "";

  constructor(text: string) {
    this.#text = text;
  }

  blanked(): string {
    this.#scanCode(false);
    return this.#code;
  }

  /** Code up to the end, or inside a template's `${…}` up to its closing brace. */
  #scanCode(inTemplate: boolean): void {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const two = this.#text.slice(this.#at, this.#at + 2);
      const one = two.charAt(0);
      if (two === "//") this.#blankThrough(/\n|$/g, 0);
      else if (two === "/*") this.#blankThrough(/\*\//g, 2);
      else if (one === '"' || one === "'") this.#scanString(one);
      else if (one === "`") this.#scanTemplate();
      else if (one === "/" && BEFORE_PATTERN.test(this.#code.slice(-40))) this.#scanPattern();
      else {
        if (one === "{") depth += 1;
        if (one === "}") depth -= 1;
        this.#keep();
        if (inTemplate && depth < 0) return;
      }
    }
  }

  #scanString(quote: string): void {
    this.#keep();
    while (this.#at < this.#text.length && this.#text[this.#at] !== quote) this.#blankOneOrEscape();
    this.#keep();
  }

  #scanTemplate(): void {
    this.#keep();
    while (this.#at < this.#text.length && this.#text[this.#at] !== "`") {
      if (this.#text.startsWith("${", this.#at)) {
        this.#keep();
        this.#keep();
        this.#scanCode(true);
      } else this.#blankOneOrEscape();
    }
    this.#keep();
  }

  #scanPattern(): void {
    this.#keep();
    let inClass = false;
    while (this.#at < this.#text.length && (inClass || this.#text[this.#at] !== "/")) {
      if (this.#text[this.#at] === "[") inClass = true;
      if (this.#text[this.#at] === "]") inClass = false;
      this.#blankOneOrEscape();
    }
    this.#keep();
  }

  #keep(): void {
    this.#code += this.#text.charAt(this.#at);
    this.#at += 1;
  }

  #blankOneOrEscape(): void {
    if (this.#text[this.#at] === "\\") this.#blank();
    this.#blank();
  }

  #blank(): void {
    const character = this.#text.charAt(this.#at);
    this.#code += character === "\n" ? "\n" : " ".repeat(character.length);
    this.#at += 1;
  }

  #blankThrough(end: RegExp, endLength: number): void {
    end.lastIndex = this.#at + endLength;
    const stop = (end.exec(this.#text)?.index ?? this.#text.length) + endLength;
    while (this.#at < Math.min(stop, this.#text.length)) this.#blank();
  }
}

/** Texts of the module specifiers that a file imports or re-exports, types included. */
export function specifiersOf({ text, code }: SourceText): string[] {
  return stringsAfter({ text, code }, /\b(?:from|import)\s*\(?\s*(?=["'])/g);
}

/** Modules that a file names to have them loaded by another process or thread. */
export function siblingsOf({ text, code }: SourceText): string[] {
  return stringsAfter({ text, code }, /\bsiblingModule\(\s*import\.meta\.url\s*,\s*(?=["'])/g);
}

function stringsAfter({ text, code }: SourceText, lead: RegExp): string[] {
  return [...code.matchAll(lead)].map((found) => {
    const start = found.index + found[0].length + 1;
    return text.slice(start, code.indexOf(text.charAt(start - 1), start));
  });
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
