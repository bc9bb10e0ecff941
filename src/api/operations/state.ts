import { defineOperations } from "../operation.ts";

export const STATE_OPERATIONS = defineOperations({});
