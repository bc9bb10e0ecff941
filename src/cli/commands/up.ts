import { parseBrokerAddress } from "../../app/broker-address.ts";
import type { EmbeddedBroker } from "../../app/embedded-broker.ts";
import { openEmbedded } from "../../app/open-broker.ts";
import { HoldfastError } from "../../errors/index.ts";
import type { CliContext, CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { type LocalCluster, openLocalCluster } from "../local-cluster.ts";
import { noWorkersOption, settingOption } from "../options.ts";
import { factLines } from "../terminal/facts.ts";
import { counted } from "../terminal/figures.ts";
import { wrap } from "../terminal/text-width.ts";
import { packageVersion } from "../version.ts";

interface UpFlags {
  readonly broker?: string;
  readonly workers?: string | false;
  readonly concurrency?: string;
  readonly pools?: string;
  readonly capabilities?: string;
  readonly listenHost?: string;
  readonly listenPort?: string;
}

const HELP = `
Other commands in this folder find it by themselves. Ctrl-C or SIGTERM ends it in
order: workers finish what they run or hand it back; executions stay in the store.

Examples:
  holdfast up
  HOLDFAST_TOKEN=… holdfast up --workers 8 --listen-host 0.0.0.0`;

export function defineUp(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("up")
    .description("Keeps a broker and workers running here, in the foreground.")
    .addOption(settingOption("workers", "count"))
    .addOption(noWorkersOption())
    .addOption(settingOption("concurrency", "count"))
    .addOption(settingOption("pools", "names"))
    .addOption(settingOption("capabilities", "names"))
    .addOption(settingOption("broker", "address"))
    .addOption(settingOption("listenHost", "host"))
    .addOption(settingOption("listenPort", "port"))
    .addHelpText("after", HELP)
    .action(async (flags: UpFlags) => host.finish(await up(host.context, flags)));
}

async function up(context: CliContext, flags: UpFlags): Promise<number> {
  const { workers, ...others } = flags;
  let owned: EmbeddedBroker | undefined;
  const cluster = await openLocalCluster(
    context,
    { ...others, ...(workers === false ? {} : { workers }) },
    async ({ settings, logger }) => {
      const home = parseBrokerAddress(settings.broker);
      if (home.kind !== "home")
        throw new HoldfastError("INVALID_OPTION", {
          option: "--broker",
          value: settings.broker,
          expected: "a folder or sqlite:FILE that this command can own",
        });
      const { listenHost: host, listenPort: port, token } = settings;
      owned = await openEmbedded({
        home,
        settings,
        logger,
        listen: { host, port },
        mustOwn: true,
        ...(token === undefined ? {} : { token }),
      });
      return owned;
    },
  );
  try {
    const count = workers === false ? 0 : cluster.settings.workers;
    if (count > 0) cluster.startWorkers({ count, replaceLost: true, log: "inherit" });
    await announce(context, { cluster, url: (await owned?.address())?.url ?? "", count });
    await Promise.race([aborted(context.interrupts.signal), cluster.workersGone]);
    context.out.print("Stopping: workers finish what they run or hand it back.");
    return 0;
  } finally {
    await cluster.close();
  }
}

async function announce(
  context: CliContext,
  up: { readonly cluster: LocalCluster; readonly url: string; readonly count: number },
): Promise<void> {
  const { out } = context;
  const { broker, token } = up.cluster.settings;
  const home = parseBrokerAddress(broker);
  const tokenPlace = token === undefined && home.kind === "home" ? `in ${home.ownerFile}` : "as HOLDFAST_TOKEN says";
  const workers = up.count === 0 ? "no workers of its own" : counted(up.count, "worker");
  out.print(...wrap(`Holdfast ${packageVersion()} is up with ${workers}.`, out.terminal.columns - 1));
  out.print(
    ...factLines(out, [
      ["Store", broker],
      ["Address", up.url],
      ["Token", tokenPlace],
      ["Run", "holdfast run FILE (in this folder)"],
      ["Add a worker", `HOLDFAST_TOKEN=… holdfast worker --broker ${up.url}`],
      ["Stop", "Ctrl-C"],
    ]),
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
