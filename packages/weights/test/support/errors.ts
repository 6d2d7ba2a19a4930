import { isVlmError, type VlmError } from "@vlm/core";
import { expect } from "vitest";

/** Runs what must fail and gives the error, after comparing its class, code and message. */
export async function failure(
  run: () => unknown,
  name: string,
  code: string | RegExp,
  message?: string | RegExp,
): Promise<VlmError> {
  let error: unknown;
  try {
    await run();
  } catch (caught) {
    error = caught;
  }
  if (!isVlmError(error)) throw new Error(`expected ${name} ${code}, got ${String(error)}`, { cause: error });
  expect(error.name, error.message).toBe(name);
  expect(error.code, error.message).toMatch(typeof code === "string" ? new RegExp(`^${code}$`) : code);
  if (message !== undefined) expect(error.message).toMatch(message);
  return error;
}
