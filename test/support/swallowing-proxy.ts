/**
 * A way to a server that can be cut as a network is: bytes vanish, and neither side is told. Connections
 * stay open, new ones are accepted, and nothing comes through until the cut is mended; then everything
 * that was held back on the way is gone with its connections, as after a long partition.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface SwallowingProxy {
  readonly port: number;
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function startSwallowingProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<SwallowingProxy> {
  let isCut = false;
  const pairs = new Set<{ readonly sockets: readonly Socket[]; hasLost: boolean }>();
  const server = createServer((near) => {
    const far = connect(target.port, target.host);
    const pair = { sockets: [near, far], hasLost: false };
    pairs.add(pair);
    const carry = (from: Socket, to: Socket): void => {
      from.on("data", (bytes) => {
        if (isCut) pair.hasLost = true;
        else if (!pair.hasLost) to.write(bytes);
      });
      from.on("error", () => undefined);
      // Not even an end gets through.
      from.on("close", () => isCut || to.destroy());
      to.on("close", () => pairs.delete(pair));
    };
    carry(near, far);
    carry(far, near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const drop = (): void => {
    for (const { sockets } of pairs) for (const socket of sockets) socket.destroy();
    pairs.clear();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      isCut = true;
    },
    mend: () => {
      isCut = false;
      drop();
    },
    close: async () => {
      drop();
      server.close();
      await once(server, "close");
    },
  };
}
