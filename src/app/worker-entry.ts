/**
 * The program of a local worker: started by local-workers.ts with its name as the argument and
 * everything else in the environment.
 */
import { HoldfastError } from "../errors/index.ts";
import { createLogger } from "../telemetry/log.ts";
import { secretsOf } from "./display-address.ts";
import { processSettings } from "./settings.ts";
import { startWorkerProcess } from "./worker-main.ts";

process.exitCode = await main(process.argv[2]);

async function main(name: string | undefined): Promise<number> {
  try {
    const settings = processSettings();
    const { logLevel: level, logFormat: format } = settings;
    const logger = createLogger({ level, format, destination: process.stderr, secrets: secretsOf(settings) });
    const named = name === undefined ? {} : { name };
    return await startWorkerProcess({ address: settings.broker, settings, logger, tiedToParent: true, ...named });
  } catch (thrown) {
    const error = HoldfastError.from(thrown);
    process.stderr.write(`${error.code}: ${error.message}\n`);
    return error.exitCode;
  }
}
