import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { readOwnerNote, removeOwnerNote, writeOwnerNote } from "../../../src/app/owner-file.ts";

const NOTE = { pid: 12, url: "ws://127.0.0.1:1/broker", token: "secret", startedAt: 5 };

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), "holdfast-note-"));
  t.after(() => rm(made, { recursive: true }));
  return made;
}

test("a note is read as it was written, by its owner only, and leaves no draft", async (t) => {
  const dir = await folder(t);
  const file = path.join(dir, "deep", "owner.json");
  await writeOwnerNote(file, NOTE);
  assert.deepEqual(await readOwnerNote(file), NOTE);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await writeOwnerNote(file, { ...NOTE, pid: 13 });
  assert.equal((await readOwnerNote(file))?.pid, 13);
  assert.deepEqual(readdirSync(path.dirname(file)), ["owner.json"]);
  await removeOwnerNote(file);
  await removeOwnerNote(file);
  assert.equal(await readOwnerNote(file), undefined);
});

test("what is no note counts as none", async (t) => {
  const file = path.join(await folder(t), "owner.json");
  for (const content of ["", "{", "[]", '{"pid":1}', '{"pid":"1","url":"x","token":"y","startedAt":1}']) {
    await writeFile(file, content);
    assert.equal(await readOwnerNote(file), undefined, content);
  }
});
