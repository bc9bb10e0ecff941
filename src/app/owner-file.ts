/**
 * The note that the owner of a database leaves beside it: how to reach it.
 *
 * The note is a hint and nothing more. Who owns the file is decided by the file's own lock; a note
 * may be missing (its owner is still starting), or stale (its owner was killed). Only the holder of
 * the lock writes or removes it, and it removes it before it lets go of the lock, so that it can
 * never remove its successor's. It carries the token that the owner's server asks for, so only its
 * user may read it.
 */
import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";

const ownerNote = z.object({
  pid: z.number().int(),
  url: z.string(),
  token: z.string(),
  /** Milliseconds since 1970. */
  startedAt: z.number(),
});

export type OwnerNote = Readonly<z.output<typeof ownerNote>>;

/** Puts the note in place in one step: a reader sees the old one or the new one, never half. */
export async function writeOwnerNote(file: string, note: OwnerNote): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const draft = `${file}.${note.pid}.tmp`;
  await writeFile(draft, `${JSON.stringify(note, null, 2)}\n`, { mode: 0o600 });
  // The mode above counts only for a new file, and a draft may be left from a crash.
  await chmod(draft, 0o600);
  await rename(draft, file);
}

/** The note, or undefined when there is none that can be read. */
export async function readOwnerNote(file: string): Promise<OwnerNote | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
  const parsed = ownerNote.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** To be called by the holder of the lock only. */
export async function removeOwnerNote(file: string): Promise<void> {
  await rm(file, { force: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Somebody else's file, or an edited one: as good as no note.
    return undefined;
  }
}
