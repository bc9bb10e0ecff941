import type { CommandHost } from "../context.ts";
import type { HoldfastCommand } from "../holdfast-command.ts";
import { serverOptions, settingOption } from "../options.ts";
import { serve, type ServingFlags } from "../serving.ts";

const HELP = `
The API is described at /api/v1/openapi.json. On this machine alone no token is needed;
listening anywhere else, the first start makes a token and shows it once.

Several servers on one Redis are one: name them all, with commas between them, and
whoever loses one goes on with another.

Examples:
  holdfast server
  holdfast server --broker redis://10.0.0.6:6379 --listen-host 0.0.0.0
  holdfast status --broker http://10.0.0.7:7420,http://10.0.0.8:7420`;

export function defineServer(program: HoldfastCommand, host: CommandHost): void {
  const command = program
    .command("server")
    .description("Offers a broker over HTTP, to programs, people and workers elsewhere.")
    .addOption(settingOption("broker", "address"));
  for (const option of serverOptions()) command.addOption(option);
  command.addHelpText("after", HELP).action(async (flags: ServingFlags) => {
    host.finish(await serve(host.context, flags, { what: "serves", workers: false, server: true }));
  });
}
