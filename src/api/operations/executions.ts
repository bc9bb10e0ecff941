import { defineOperations } from "../operation.ts";

export const EXECUTION_OPERATIONS = defineOperations({});
