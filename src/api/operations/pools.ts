import { defineOperations } from "../operation.ts";

export const POOL_OPERATIONS = defineOperations({});
