/**
 * Names of locks, keys and scopes as they stand in Redis, which puts texts in the order of their UTF-8
 * bytes, that is by code points, where the contract says: by code units. They differ above U+D7FF alone,
 * so there each code unit becomes a character of its own; all other text stands as it is.
 */

const FIRST_MOVED = 0xd800;
const MOVED_TO = 0xe000;
const MOVED = /[\ud800-\uffff]/;

export function storedName(name: string): string {
  if (!MOVED.test(name)) return name;
  let stored = "";
  for (let at = 0; at < name.length; at += 1) {
    const unit = name.charCodeAt(at);
    stored += String.fromCodePoint(unit < FIRST_MOVED ? unit : unit - FIRST_MOVED + MOVED_TO);
  }
  return stored;
}

export function shownName(stored: string): string {
  if (!MOVED.test(stored)) return stored;
  let name = "";
  for (const character of stored) {
    const point = character.codePointAt(0) as number;
    name += String.fromCharCode(point < MOVED_TO ? point : point - MOVED_TO + FIRST_MOVED);
  }
  return name;
}
