import { defineOperations } from "../operation.ts";

export const TASK_OPERATIONS = defineOperations({});
