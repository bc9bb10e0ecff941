/** A broker in a process of its own, worker processes, and a client: Holdfast as people use it. */
import type { Broker } from "../src/broker/contract.ts";
import { Client } from "../src/sdk/client.ts";
import { siblingModule } from "../src/util/sibling-module.ts";
import { Child } from "./child.ts";
import type { BenchContext } from "./measure.ts";
import { connect, startOwner } from "./open.ts";
import type { RealWorkerRequest } from "./processes/real-worker.ts";

export interface Fleet {
  readonly broker: Broker;
  readonly client: Client;
}

/** Runs `action` on a fleet of its own whose workers are up and waiting. */
export async function withFleet<Result>(
  context: BenchContext,
  workers: number,
  action: (fleet: Fleet) => Promise<Result>,
): Promise<Result> {
  const owner = await startOwner(context.folder());
  const broker = await connect(owner.place);
  const children = Array.from(
    { length: workers },
    () => new Child(siblingModule(import.meta.url, "./processes/real-worker")),
  );
  try {
    await Promise.all(
      children.map((child, index) =>
        child.ask({ place: owner.place, worker: `bench-${index}` } satisfies RealWorkerRequest),
      ),
    );
    return await action({ broker, client: new Client({ broker }) });
  } finally {
    await Promise.all(children.map((child) => child.end()));
    await broker.close();
    await owner.end();
  }
}
