/** The HTTP server. */
export { startServer } from "./server.ts";
export { DEFAULT_SERVER_LIMITS, type RunningServer, type ServerLimits, type ServerOptions } from "./server-options.ts";
