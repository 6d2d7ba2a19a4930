export { type ErrorName, type ErrorParts, isVlmError, nearest, printable, VlmError } from "./errors.ts";
