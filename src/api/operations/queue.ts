import { defineOperations } from "../operation.ts";

export const QUEUE_OPERATIONS = defineOperations({});
