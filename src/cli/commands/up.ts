import type { CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { noWorkersOption, serverOptions, settingOption } from "../options.ts";
import { serve } from "../serving.ts";

interface UpFlags {
  readonly workers?: string | false;
  readonly server?: boolean;
}

const HELP = `
Other commands in this folder find it by themselves; those elsewhere, and programs in
any language, speak to its server. Ctrl-C or SIGTERM ends it in order: workers finish
what they run or hand it back; executions stay in the store.

With a Redis as the broker workers may connect to that Redis directly.

Examples:
  holdfast up
  holdfast up --broker redis://10.0.0.6:6379 --workers 8
  holdfast up --listen-host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem`;

export function defineUp(program: HoldfastCommand, host: CommandHost): void {
  const command = program
    .command("up")
    .description("Keeps a broker, a server and workers running here, in the foreground.")
    .addOption(settingOption("workers", "count"))
    .addOption(noWorkersOption())
    .option("--no-server", "No server here: only this folder, or what connects to the Redis.")
    .addOption(settingOption("concurrency", "count"))
    .addOption(settingOption("pools", "names"))
    .addOption(settingOption("capabilities", "names"))
    .addOption(settingOption("jobs", "file"))
    .addOption(settingOption("broker", "address"));
  for (const option of serverOptions()) command.addOption(option);
  command.addHelpText("after", HELP).action(async ({ workers, server, ...settings }: UpFlags) => {
    const flags = { ...settings, ...(workers === false ? {} : { workers }) };
    const serving = { what: "is up", workers: workers !== false, server: server !== false } as const;
    host.finish(await serve(host.context, flags, serving));
  });
}
