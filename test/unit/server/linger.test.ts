/** The end of an answer to somebody who is still sending. */
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { PassThrough, type Readable } from "node:stream";
import { describe, it } from "node:test";
import { LINGER_MS, lingering } from "../../../src/server/linger.ts";
import { turnsOfTheLoop, VirtualClock } from "../../support/virtual-clock.ts";

interface Scene {
  readonly clock: VirtualClock;
  /** What is still sent. */
  readonly sender: PassThrough;
  readonly answer: Readable;
  readonly heard: { text: string; hasEnded: boolean };
}

function scene(): Scene {
  const clock = new VirtualClock();
  const sender = new PassThrough();
  const answer = lingering("no", sender as unknown as IncomingMessage, clock);
  const heard = { text: "", hasEnded: false };
  answer.on("data", (chunk: Buffer) => (heard.text += chunk.toString("utf8")));
  answer.on("end", () => (heard.hasEnded = true));
  return { clock, sender, answer, heard };
}

describe("an answer to somebody who is still sending", () => {
  it("is given at once, and ends when the sender has stopped", async () => {
    const { clock, sender, heard } = scene();
    for (let sent = 0; sent < 100; sent += 1) sender.write(Buffer.alloc(65_536));
    await turnsOfTheLoop(20);
    assert.deepEqual(heard, { text: "no", hasEnded: false });
    assert.equal(sender.readableLength, 0, "what still comes is thrown away");
    sender.end();
    await turnsOfTheLoop();
    assert.equal(heard.hasEnded, true);
    assert.equal(clock.waiting, 0);
  });

  it("ends after a moment when the sender does not stop", async () => {
    const { clock, sender, heard } = scene();
    sender.write("more");
    await clock.advance(LINGER_MS - 1);
    assert.equal(heard.hasEnded, false);
    await clock.advance(1);
    assert.equal(heard.hasEnded, true);
  });

  it("ends when the sender is gone", async () => {
    const { sender, heard } = scene();
    sender.destroy();
    await turnsOfTheLoop();
    assert.equal(heard.hasEnded, true);
  });
});
