/** Which form of an answer a caller wants. */

/**
 * The first of `offered` that an Accept header names; undefined where it names none of them, or is not
 * there: the usual form then.
 */
export function preferredMedia(accept: string | undefined, offered: readonly string[]): string | undefined {
  const wanted = (accept ?? "").toLowerCase().split(",");
  for (const entry of wanted) {
    const type = entry.split(";", 1)[0]?.trim() ?? "";
    if (type === "application/json") return undefined;
    if (offered.includes(type)) return type;
  }
  return undefined;
}
