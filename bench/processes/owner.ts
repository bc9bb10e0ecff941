/** Owns a store and serves it to other processes, as `holdfast up` does. Answers where it is. */
import { HoldfastError } from "../../src/errors/index.ts";
import { serveRequests } from "../child.ts";
import { openBroker, type OwnerRequest, type Place } from "../open.ts";

let close = (): Promise<void> => Promise.resolve();

serveRequests(
  async ({ folder }: OwnerRequest): Promise<Place> => {
    const broker = await openBroker(folder);
    close = () => broker.close();
    const place = await broker.address();
    if (place === undefined) throw new HoldfastError("INTERNAL", { problem: "an owner does not know its own address" });
    return place;
  },
  () => close(),
);
