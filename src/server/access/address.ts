/** Addresses: where a caller comes from, and which are this machine's own. */
import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP, isIPv6 } from "node:net";
import { HoldfastError } from "../../errors/index.ts";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

export interface CallerFacts {
  readonly headers: IncomingHttpHeaders;
  /** Of the connection. */
  readonly socketAddress: string | undefined;
}

/** Which proxies are believed. Errors: INVALID_SETTING for what is neither an address nor a range. */
export function trustedProxies(addresses: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of addresses) {
    const [address = "", bits] = text.split("/", 2);
    const family = isIP(address);
    const most = family === 6 ? 128 : 32;
    const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (family === 0 || !(prefix <= most)) {
      const expected = "addresses or ranges of proxies, such as 10.0.0.5 or 10.0.0.0/8";
      throw new HoldfastError("INVALID_SETTING", { setting: "trustProxy", value: JSON.stringify(text), expected });
    }
    list.addSubnet(address, prefix, family === 6 ? "ipv6" : "ipv4");
  }
  return list;
}

/**
 * The caller's address. Each proxy adds to X-Forwarded-For whom it was asked by: from the last one
 * back, as long as a trusted proxy says so; what stands before that anybody may have written.
 */
export function callerAddress({ headers, socketAddress = "" }: CallerFacts, proxies: BlockList): string {
  let caller = plain(socketAddress);
  const forwarded = headers["x-forwarded-for"];
  if (forwarded === undefined) return caller;
  const hops = forwarded.toString().split(",");
  while (hops.length > 0 && holds(proxies, caller)) {
    const before = plain((hops.pop() ?? "").trim());
    if (isIP(before) === 0) break;
    caller = before;
  }
  return caller;
}

/** Whether what listens on this host can be reached from this machine only. */
export function isLoopbackHost(host: string): boolean {
  // What nearly all of them are, before what takes longer: every request comes by here.
  if (host === "127.0.0.1" || host === "localhost") return true;
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return name === "localhost" || holds(LOOPBACK, plain(name));
}

/** Callers that count as one: whoever has an IPv6 address has at least the whole /64. */
export function callerKey(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.toLowerCase().split("::", 2);
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: Math.max(0, gap) }, () => "0"), ...after];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}

function holds(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** An IPv4 address that a socket for both families shows as IPv6. */
function plain(address: string): string {
  return MAPPED_IPV4.exec(address)?.[1] ?? address;
}
