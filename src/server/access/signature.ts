/**
 * Signed requests of workers: who knows the shared secret may speak as a worker without a token.
 *
 *   x-worker-id         the worker's id
 *   x-worker-timestamp  milliseconds since 1970
 *   x-worker-signature  hex HMAC-SHA256, under the secret, of `ID:TIMESTAMP`
 *
 * A signature says who asks and when, not what for: whoever reads one on the way may use it for the
 * same worker until it is too old. So it needs TLS where others can listen.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** A timestamp may be off by this much, either way. */
export const SIGNATURE_WINDOW_MS = 300_000;

const WORKER_ID = /^[\x21-\x7e]{1,256}$/;
const TIMESTAMP = /^\d{1,16}$/;
const SIGNATURE = /^[\da-f]{64}$/i;

export type SignatureVerdict = { readonly workerId: string } | { readonly refused: string };

export function isSigned(headers: IncomingHttpHeaders): boolean {
  return headers["x-worker-signature"] !== undefined;
}

/** Which worker signed, or why the signature is not taken. */
export function verifySignature(headers: IncomingHttpHeaders, secret: string, now: number): SignatureVerdict {
  const [workerId, timestamp, signature] = ["id", "timestamp", "signature"].map((name) => {
    const value = headers[`x-worker-${name}`];
    return typeof value === "string" ? value : "";
  }) as [string, string, string];
  if (!WORKER_ID.test(workerId)) return { refused: "A signed request needs the header x-worker-id." };
  if (!TIMESTAMP.test(timestamp)) {
    return { refused: "A signed request needs the header x-worker-timestamp, milliseconds since 1970." };
  }
  if (!SIGNATURE.test(signature)) {
    return { refused: "The header x-worker-signature must be an HMAC-SHA256 in hex." };
  }
  const expected = createHmac("sha256", secret).update(`${workerId}:${timestamp}`).digest();
  // Looked at before the time: a wrong signature learns nothing about the server's clock.
  if (!timingSafeEqual(Buffer.from(signature, "hex"), expected)) {
    return { refused: "The worker's signature is wrong; check workerSecret on both sides." };
  }
  if (Math.abs(now - Number(timestamp)) > SIGNATURE_WINDOW_MS) {
    return { refused: "The worker's signature is older or newer than 5 minutes; check the clocks of both sides." };
  }
  return { workerId };
}
