/** Headers of every answer. */

/** Answers are data for programs: never framed, sniffed, kept, or run as a page. */
const ALWAYS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

const HSTS = "max-age=31536000";
/** How long a browser may remember that it may call us from another origin, seconds. */
const PREFLIGHT_SECONDS = 600;

export function baseHeaders(requestId: string, isTls: boolean): Record<string, string> {
  return { ...ALWAYS, ...(isTls ? { "strict-transport-security": HSTS } : {}), "x-request-id": requestId };
}

interface Asked {
  readonly origin: string | undefined;
  /** The method that a preflight asks about. */
  readonly preflight?: boolean;
}

/** For a page of one of the `origins`, exactly as they are named; nothing for all others. */
export function corsHeaders(origins: readonly string[], { origin, preflight = false }: Asked): Record<string, string> {
  if (origins.length === 0) return {};
  const vary = { vary: "origin" };
  if (origin === undefined || !origins.includes(origin)) return vary;
  return {
    ...vary,
    "access-control-allow-origin": origin,
    "access-control-expose-headers": "x-request-id, retry-after, etag",
    "cross-origin-resource-policy": "cross-origin",
    ...(preflight
      ? {
          "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE",
          "access-control-allow-headers":
            "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id",
          "access-control-max-age": String(PREFLIGHT_SECONDS),
        }
      : {}),
  };
}
