/**
 * The remote broker keeps the contract: an embedded broker behind a host, a client on a real socket
 * of this machine. The broker lives by the virtual clock, the wire between by the real one.
 */
import { connectRemoteBroker } from "../../src/broker/remote/connect.ts";
import { serveBroker } from "../../src/broker/remote/serve-broker.ts";
import { acceptToken } from "../../src/broker/remote/token.ts";
import { openSqliteBroker } from "../../src/broker/sqlite/index.ts";
import { systemClock } from "../../src/util/clock.ts";
import { brokerContract } from "../contract/broker-contract.ts";

const TOKEN = "contract";

brokerContract(
  "remote",
  async (ingredients) => {
    const behind = openSqliteBroker({ file: ":memory:", ...ingredients });
    const clock = systemClock({ keepAlive: true });
    const host = await serveBroker({
      broker: behind,
      listen: { host: "127.0.0.1", port: 0 },
      access: acceptToken(TOKEN),
      clock,
    });
    const broker = await connectRemoteBroker({
      url: () => ({ url: host.url, token: TOKEN }),
      clock,
      random: Math.random,
    });
    const close = async (): Promise<void> => {
      await broker.close();
      await host.close();
      await behind.close();
    };
    return { broker, close };
  },
  {
    propertyRuns: 30,
    skips: {
      "standing in line for a lock: a line has a greatest length":
        "one connection carries 4,096 calls at a time; the line is that of the embedded broker behind it",
    },
  },
);
