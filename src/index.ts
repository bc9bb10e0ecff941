export { defineTask } from "./sdk/task.ts";
