import type { Duplex } from "node:stream";

/**
 * Gathers the frames written in one turn of the event loop into one write of the socket. Call the
 * returned function before each write.
 *
 * Replies come in bursts (one group commit answers many calls), and a system call costs more than
 * all else that the wire does for a small frame.
 */
export function gatherWrites(socket: Duplex): () => void {
  let gathering = false;
  const release = (): void => {
    gathering = false;
    socket.uncork();
  };
  return () => {
    if (gathering) return;
    gathering = true;
    socket.cork();
    process.nextTick(release);
  };
}
