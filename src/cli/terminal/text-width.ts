/**
 * How many cells a text takes on a terminal, and cutting or padding it to so many.
 *
 * Escape sequences take none, East Asian and emoji characters two, combining marks none.
 */
import { stripVTControlCharacters } from "node:util";

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

export function textWidth(text: string): number {
  const bare = stripVTControlCharacters(text);
  if (isPlainAscii(bare)) return bare.length;
  let width = 0;
  for (const { segment } of graphemes.segment(bare)) width += graphemeWidth(segment);
  return width;
}

/** Cuts an unstyled text to at most `columns` cells; what was cut ends with `ellipsis`. */
export function cut(text: string, columns: number, ellipsis = "…"): string {
  if (textWidth(text) <= columns) return text;
  const room = Math.max(0, columns - textWidth(ellipsis));
  let kept = "";
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    width += graphemeWidth(segment);
    if (width > room) break;
    kept += segment;
  }
  return columns >= textWidth(ellipsis) ? kept + ellipsis : kept;
}

export function padEnd(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - textWidth(text)));
}

export function padStart(text: string, columns: number): string {
  return " ".repeat(Math.max(0, columns - textWidth(text))) + text;
}

/** Breaks an unstyled text at spaces into lines of at most `columns` cells; a longer word is cut in two. */
export function wrap(text: string, columns: number): string[] {
  if (columns === Infinity) return [text];
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((part) => hardSplit(part, columns))) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (textWidth(longer) <= columns) {
      line = longer;
    } else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

/**
 * A text of somebody else (a task's error, a name, a file) made safe to print on one line: no
 * escape sequence reaches the terminal, line breaks become spaces.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\s+/g, " ")
    .replace(/\p{Cc}/gu, "")
    .trim();
}

function hardSplit(word: string, columns: number): string[] {
  if (textWidth(word) <= columns) return [word];
  const pieces: string[] = [];
  let rest = word;
  while (textWidth(rest) > columns) {
    const piece = cut(rest, columns, "");
    if (piece === "") break;
    pieces.push(piece);
    rest = rest.slice(piece.length);
  }
  return [...pieces, rest];
}

function isPlainAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

function graphemeWidth(grapheme: string): number {
  const first = grapheme.codePointAt(0) ?? 0;
  if (first < 0x20 || (first >= 0x7f && first < 0xa0)) return 0;
  if (/^\p{M}/u.test(grapheme) || first === 0x200b || first === 0xfeff) return 0;
  return isWide(first) || /\p{Emoji_Presentation}|\ufe0f/u.test(grapheme) ? 2 : 1;
}

/** East Asian Wide and Fullwidth ranges. */
function isWide(codePoint: number): boolean {
  return (
    codePoint >= 0x1100 &&
    (codePoint <= 0x115f ||
      (codePoint >= 0x2e80 && codePoint <= 0xa4cf && codePoint !== 0x303f) ||
      (codePoint >= 0xac00 && codePoint <= 0xd7a3) ||
      (codePoint >= 0xf900 && codePoint <= 0xfaff) ||
      (codePoint >= 0xfe30 && codePoint <= 0xfe6f) ||
      (codePoint >= 0xff00 && codePoint <= 0xff60) ||
      (codePoint >= 0xffe0 && codePoint <= 0xffe6) ||
      (codePoint >= 0x20000 && codePoint <= 0x3fffd))
  );
}
