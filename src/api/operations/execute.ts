import { defineOperations } from "../operation.ts";

export const EXECUTE_OPERATIONS = defineOperations({});
