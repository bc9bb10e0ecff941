import { defineOperations } from "../operation.ts";

export const WORKER_OPERATIONS = defineOperations({});
