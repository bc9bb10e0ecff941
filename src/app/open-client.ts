/**
 * A broker as programs and the command line use it: submit, steer, look. At the address of a server
 * that is the public API and nothing else; anywhere else it is the broker itself.
 */
import type { Broker } from "../broker/contract.ts";
import type { PublicBroker } from "../broker/http/http-broker.ts";
import type { HttpLink } from "../broker/http/http-link.ts";
import { systemClock } from "../util/clock.ts";
import { parseBrokerAddress, type ServerAddress } from "./broker-address.ts";
import { openBroker, type OpenBrokerOptions } from "./open-broker.ts";

export interface OpenedClient {
  readonly broker: PublicBroker;
  /** Absent at the address of a server. */
  readonly store?: Broker;
  /** Only at the address of a server. */
  readonly link?: HttpLink;
}

const GIVE_UP_AFTER_MS = 30_000;
/** Longest silence of one server before the next one is asked. */
const ANSWER_WITHIN_MS = 5_000;

/** @throws HoldfastError those of openBroker. */
export async function openClient(address: string, options: OpenBrokerOptions): Promise<OpenedClient> {
  const parsed = parseBrokerAddress(address);
  if (parsed.kind === "server" && speaksHttp(parsed)) {
    const { settings, logger, giveUpAfterMs = GIVE_UP_AFTER_MS } = options;
    // Loaded by those who use it: the schemas of the API take a while.
    const [{ httpBroker }, { HttpLink: Link }] = await Promise.all([
      import("../broker/http/http-broker.ts"),
      import("../broker/http/http-link.ts"),
    ]);
    const link = new Link({
      urls: parsed.urls,
      clock: systemClock({ keepAlive: true }),
      logger,
      giveUpAfterMs,
      answerWithinMs: ANSWER_WITHIN_MS,
      ...(settings.token === undefined ? {} : { token: settings.token }),
    });
    return { broker: httpBroker(link, () => crypto.randomUUID()), link };
  }
  const store = await openBroker(address, options);
  return { broker: store, store };
}

function speaksHttp({ urls }: ServerAddress): boolean {
  return urls.every((url) => /^https?:/i.test(url));
}
