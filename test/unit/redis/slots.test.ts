import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { slotOf } from "../../../src/broker/redis/link/slots.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { startRedis } from "../../support/redis-server.ts";

describe("slots", () => {
  it("are those of the cluster specification", () => {
    assert.equal(slotOf("123456789"), 0x31c3);
    assert.equal(slotOf(""), 0);
    assert.equal(slotOf("foo"), 12_182);
  });

  it("are those that a server computes", async (t) => {
    const server = await startRedis({ config: { "cluster-enabled": "yes" } });
    t.after(() => server.stop());
    const random = seededRandom(7);
    const tags = Array.from({ length: 20 }, () => `shard-${Math.floor(random() * 1e6).toString(36)}-ü`);
    for (const tag of tags)
      assert.equal(await server.command("CLUSTER", "KEYSLOT", `before{${tag}}after`), slotOf(tag), tag);
  });
});
