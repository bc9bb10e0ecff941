/** Checkpoints, each scope in the shard of its name. Their texts travel as they are. */
import { HoldfastError } from "../../errors/index.ts";
import type {
  CheckpointInfo,
  CheckpointView,
  DeleteCheckpointsParams,
  ReadCheckpointParams,
  SaveCheckpointParams,
} from "../contract.ts";
import { WRITE_MEMORY_MS } from "../limits.ts";
import type { Reply } from "./link/link.ts";
import type { Shard } from "./shard.ts";
import type { Spread } from "./spread.ts";
import { storedName } from "./state-names.ts";
import { UNIT } from "./submit-arguments.ts";

export class Checkpoints {
  readonly #spread: Spread;

  constructor(spread: Spread) {
    this.#spread = spread;
  }

  async save(params: SaveCheckpointParams): Promise<number> {
    const { scope, data, fence, keep, ttlMs, label = "", saveId = "" } = params;
    const args = [storedName(scope), data, fence, keep, ttlMs, data.length, label, saveId, WRITE_MEMORY_MS];
    const [code, found] = await this.#home(scope).run("checkpoint-save", args);
    if (code !== "ok") throw new HoldfastError("CHECKPOINT_FENCED", { scope, fence, latest: Number(found) });
    return Number(found);
  }

  async read({ scope, version }: ReadCheckpointParams): Promise<CheckpointView | undefined> {
    const [, info, data] = await this.#home(scope).run("checkpoint-read", [storedName(scope), version ?? ""]);
    return info === undefined ? undefined : { ...checkpointInfo(scope, info), data: String(data) };
  }

  async list(scope: string): Promise<CheckpointInfo[]> {
    const [, ...infos] = await this.#home(scope).run("checkpoint-list", [storedName(scope)]);
    return infos.map((info) => checkpointInfo(scope, info));
  }

  async delete({ scope, version, keep = 0 }: DeleteCheckpointsParams): Promise<number> {
    const [, deleted] = await this.#home(scope).run("checkpoint-delete", [storedName(scope), version ?? "", keep]);
    return Number(deleted);
  }

  #home(scope: string): Shard {
    return this.#spread.shardOf(scope);
  }
}

/** As scripts/lib/checkpoints.lua lays it out. */
function checkpointInfo(scope: string, info: Reply): CheckpointInfo {
  const [version, fence, size, savedAt, ...label] = String(info).split(UNIT);
  const text = label.join(UNIT);
  return {
    scope,
    version: Number(version),
    fence: Number(fence),
    size: Number(size),
    savedAt: Number(savedAt),
    ...(text === "" ? {} : { label: text }),
  };
}
