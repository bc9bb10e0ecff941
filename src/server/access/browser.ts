/**
 * A server that lets everybody in who comes from this machine must not be steered by web pages that
 * a browser on this machine shows. Two ways are closed:
 *
 * - A page of a foreign site sends requests to 127.0.0.1. Browsers say so, in Origin or
 *   Sec-Fetch-Site, which no page can change.
 * - A site lets its own name point to 127.0.0.1 (DNS rebinding), so that its page is not foreign. The
 *   Host header then carries the site's name, not one of this machine.
 *
 * And a proxy on this machine would let the whole world in: what was passed on needs a token.
 */
import type { IncomingHttpHeaders } from "node:http";
import { isLoopbackHost } from "./address.ts";

const FORWARDING_HEADERS = ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded"] as const;

/** Why a request without a token is refused; undefined where nothing speaks against it. */
export function refusalOf(headers: IncomingHttpHeaders, allowedOrigins: readonly string[]): string | undefined {
  const { host = "", origin } = headers;
  if (!isLoopbackHost(withoutPort(host))) {
    return "Without a token only requests to localhost, 127.0.0.1 or [::1] are taken; the Host header says otherwise.";
  }
  if (FORWARDING_HEADERS.some((name) => headers[name] !== undefined)) {
    return "A request that a proxy passes on needs a token; set requireToken, and make one with `holdfast token create`.";
  }
  if (origin !== undefined) {
    const isOwn = origin === `http://${host}` || origin === `https://${host}`;
    return isOwn || allowedOrigins.includes(origin) ? undefined : foreignPage();
  }
  const site = headers["sec-fetch-site"];
  return site === undefined || site === "same-origin" || site === "none" ? undefined : foreignPage();
}

function foreignPage(): string {
  return "A web page of another origin may not call this server; see the setting corsOrigins.";
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, "");
}
