/** The workflows in `examples/`: they run as they are, and come to what they say. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadRunnable } from "../../src/cli/load-definition.ts";
import { ROOT } from "../tidy/repository.ts";
import { STORES, workflowWorld } from "../support/workflow-world.ts";

describe("the examples of workflows", () => {
  const { sqlite } = STORES;
  assert.ok(sqlite !== undefined);
  const world = workflowWorld(sqlite);

  async function answer(file: string, input?: string): Promise<unknown> {
    const definition = await loadRunnable(`examples/workflow/${file}`, { workingDirectory: ROOT, input });
    const execution = await world.client.submit(definition);
    return execution.output();
  }

  it("links.ts finds no page of the documentation that links to what is not there", { timeout: 20_000 }, async () => {
    const { pages, links, warning } = (await answer("links.ts")) as Record<string, unknown>;
    assert.ok(Number(pages) > 5 && Number(links) > 10, `${String(pages)} pages, ${String(links)} links`);
    assert.equal(warning, null);
  });

  it("words.yaml says which page is too long, if one is", { timeout: 20_000 }, async () => {
    const { longest, "too long": tooLong } = (await answer("words.yaml", '{"most": 100}')) as Record<string, unknown>;
    assert.ok(Number(longest) > 1_000);
    assert.deepEqual(tooLong, { words: longest, most: 100 });
  });
});
