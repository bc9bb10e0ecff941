import { defineOperations } from "../operation.ts";

export const EVENT_OPERATIONS = defineOperations({});
