/**
 * Where a demo keeps its store: a folder of its own under the system's temporary folder, or a
 * namespace of its own in a Redis. It removes what it made and nothing else.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { displayAddress } from "../../app/display-address.ts";
import { removeRedisNamespace } from "../../app/remove-namespace.ts";
import { shortId } from "../../app/short-id.ts";
import { environmentName } from "../../config/index.ts";
import { type CliContext, settingsOf } from "../context.ts";
import { loggerOf } from "../with-broker.ts";

export interface DemoStore {
  /** Settings that lead to it. */
  readonly flags: { readonly broker: string; readonly namespace?: string };
  /** Completes "Environment ready: …". */
  readonly about: string;
  readonly place: string;
  /** How to look inside when it is kept. */
  readonly look: string;
  remove(): Promise<void>;
}

const PREFIX = "holdfast-demo-";

export async function folderStore(): Promise<DemoStore> {
  const folder = await mkdtemp(path.join(tmpdir(), PREFIX));
  return {
    flags: { broker: folder },
    about: `embedded broker in ${folder}`,
    place: folder,
    look: `holdfast status --broker ${folder}`,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** In the Redis at this address. */
export function redisStore(context: CliContext, broker: string): DemoStore {
  const namespace = `${PREFIX}${shortId()}`;
  const settings = settingsOf(context, { broker, namespace });
  const address = displayAddress(settings);
  const place = `${address}, namespace ${namespace}`;
  return {
    flags: { broker, namespace },
    about: place,
    place,
    look: `${environmentName("namespace")}=${namespace} holdfast status --broker ${address}`,
    remove: () => removeRedisNamespace(settings, loggerOf(context, settings)),
  };
}
