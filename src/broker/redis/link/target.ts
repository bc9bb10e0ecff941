/** Where a Redis broker lives: one server, a master watched by sentinels, or a cluster. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export interface RedisTls {
  /** PEM texts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface RedisTarget {
  readonly mode: "standalone" | "sentinel" | "cluster";
  /** The server; the sentinels; or some nodes of the cluster. */
  readonly nodes: readonly RedisNode[];
  /** What the sentinels call the master; only with them. */
  readonly masterName?: string;
  /** 0 in a cluster. */
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  readonly tls?: RedisTls;
}

/** For messages: `redis://host:port/db`, never a secret. */
export function describeTarget(target: RedisTarget): string {
  const scheme = target.tls === undefined ? "redis" : "rediss";
  const nodes = target.nodes.map(describeNode).join(",");
  switch (target.mode) {
    case "standalone":
      return `${scheme}://${nodes}/${target.db}`;
    case "sentinel":
      return `${scheme}+sentinel://${nodes}/${target.masterName ?? ""}/${target.db}`;
    case "cluster":
      return `${scheme}+cluster://${nodes}`;
    default:
      return target.mode satisfies never;
  }
}

export function describeNode({ host, port }: RedisNode): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
