export { ERROR_CATALOGUE, type ErrorCode, type ErrorEntry } from "./catalogue.ts";
export { HoldfastError, type ErrorDetails, type WireError } from "./holdfast-error.ts";
