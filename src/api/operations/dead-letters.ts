import { defineOperations } from "../operation.ts";

export const DEAD_LETTER_OPERATIONS = defineOperations({});
