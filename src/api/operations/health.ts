import { defineOperations } from "../operation.ts";

export const HEALTH_OPERATIONS = defineOperations({});
