/** The process that serves Restate's handlers: a workflow of three durable steps, each of which does nothing. */
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { serveRequests } from "../child.ts";
import type { HandlersRequest } from "./server.ts";

/** As much of the SDK as is used here; it is installed only where this is measured. */
interface Sdk {
  service(definition: {
    readonly name: string;
    readonly handlers: Readonly<Record<string, (context: Context, input: number) => Promise<number>>>;
  }): unknown;
  serve(options: { readonly services: readonly unknown[]; readonly port: number }): Promise<unknown>;
}

interface Context {
  run(name: string, step: () => number): Promise<number>;
}

serveRequests(
  async ({ folder, port }: HandlersRequest) => {
    // The SDK tells every registration on standard output, which is the report's.
    console.info = console.log = console.debug = () => undefined;
    const module = createRequire(path.join(folder, "package.json")).resolve("@restatedev/restate-sdk");
    const sdk = (await import(pathToFileURL(module).href)) as Sdk;
    const chain = sdk.service({
      name: "chain",
      handlers: {
        run: async (context, input) => {
          const first = await context.run("first", () => input + 1);
          const second = await context.run("second", () => first + 1);
          return context.run("third", () => second + 1);
        },
      },
    });
    await sdk.serve({ services: [chain], port });
  },
  () => Promise.resolve(),
);
