export { Worker, type WorkerEnd, type WorkerOptions } from "./worker.ts";
export { DEFAULT_WORKER_SETTINGS, type GivenWorkerSettings, type WorkerSettings } from "./worker-settings.ts";
