import { hostname } from "node:os";
import { displayAddress } from "../../app/display-address.ts";
import { startWorkerProcess } from "../../app/worker-main.ts";
import { type CliContext, type CommandHost, settingsOf } from "../context.ts";
import { sentence } from "../execution-lines.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { settingOption } from "../options.ts";
import { counted } from "../terminal/figures.ts";
import { loggerOf } from "../with-broker.ts";

interface WorkerFlags {
  readonly broker?: string;
  readonly concurrency?: string;
  readonly pools?: string;
  readonly capabilities?: string;
  readonly jobs?: string;
  readonly prefetch?: string;
  readonly idleExitMs?: string;
  readonly memoryLimitMb?: string;
  readonly name?: string;
}

const HELP = `
A folder means the broker that a \`holdfast up\` or \`holdfast run\` keeps open there.
The token for a server is read from HOLDFAST_TOKEN, the password of a Redis from
REDIS_PASSWORD.

The first Ctrl-C lets what runs finish; the second hands it back; the third ends
the process at once, and the broker gives its work to others.

Examples:
  holdfast worker
  HOLDFAST_TOKEN=… holdfast worker --broker http://10.0.0.5:7420 --concurrency 4
  REDIS_PASSWORD=… holdfast worker --broker redis://10.0.0.6:6379
  holdfast worker --pools gpu --capabilities cpu,gpu --idle-exit-ms 3m`;

export function defineWorker(program: HoldfastCommand, host: CommandHost): void {
  program
    .command("worker")
    .description("Adds one more worker to a broker that runs here or elsewhere.")
    .addOption(settingOption("broker", "address"))
    .addOption(settingOption("concurrency", "count"))
    .addOption(settingOption("pools", "names"))
    .addOption(settingOption("capabilities", "names"))
    .addOption(settingOption("jobs", "file"))
    .addOption(settingOption("prefetch", "count"))
    .addOption(settingOption("idleExitMs", "time"))
    .addOption(settingOption("memoryLimitMb", "megabytes"))
    .option("--name <name>", "The worker's name. Default: this machine and process.")
    .addHelpText("after", HELP)
    .action(async (flags: WorkerFlags) => host.finish(await worker(host.context, flags)));
}

async function worker(context: CliContext, flags: WorkerFlags): Promise<number> {
  const { name = `${hostname()}-${process.pid}`, ...settingFlags } = flags;
  const settings = settingsOf(context, settingFlags);
  const logger = loggerOf(context, settings);
  const { out } = context;
  out.print(
    ...sentence(
      out,
      `Worker ${name} for ${displayAddress(settings)}, ${counted(settings.concurrency, "attempt")} at a time. Ctrl-C lets it finish and leave.`,
    ),
  );
  // A worker has three stages of leaving, and handles its signals itself.
  context.interrupts.release();
  return startWorkerProcess({ address: settings.broker, settings, logger, name });
}
