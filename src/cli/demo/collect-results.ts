import type { PublicBroker } from "../../broker/http/http-broker.ts";
import { followResults } from "../../sdk/follow.ts";
import { ResultBook } from "./proof.ts";

/** All results that the broker holds for the sweep. */
export async function collectResults(
  broker: PublicBroker,
  params: { readonly executionId: string; readonly points: number; readonly signal: AbortSignal },
): Promise<ResultBook> {
  const book = new ResultBook(params.points);
  for await (const page of followResults(broker, {
    executionId: params.executionId,
    follow: false,
    signal: params.signal,
  })) {
    for (const row of page.rows) book.add(row);
  }
  return book;
}
