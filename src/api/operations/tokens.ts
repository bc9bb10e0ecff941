import { defineOperations } from "../operation.ts";

export const TOKEN_OPERATIONS = defineOperations({});
