/** Reads the part of an item's value that an aggregation is about. */
export type ReadNumber = (value: unknown) => number | undefined;

/**
 * The finite number at `field`, a dotted path (`scores.test`, `folds.0`); undefined when there is
 * none. −0 is read as 0: the two are equal, and which of them is least would depend on the order.
 */
export function compileField(field: string | undefined): ReadNumber {
  const names = field === undefined ? [] : field.split(".");
  return (value) => {
    let found = value;
    for (const name of names) {
      if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
      found = (found as Readonly<Record<string, unknown>>)[name];
    }
    if (typeof found !== "number" || !Number.isFinite(found)) return undefined;
    return found === 0 ? 0 : found;
  };
}
