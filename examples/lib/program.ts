/** What every example needs around its few lines: one clear sentence and exit code 1 when something is wrong. */
import { isVlmError } from "@vlm/core";

/** Something that the person at the terminal can put right. */
export class UsageError extends Error {}

/** Runs a program; errors that tell what to do are shown as a sentence, without a stack. */
export async function program(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const sentence = sentenceOf(error);
    if (sentence === null) throw error;
    process.stderr.write(`\n${sentence}\n`);
    process.exitCode = 1;
  }
}

/** The sentence for a foreseen error; null for one that is a bug and deserves its stack. */
export function sentenceOf(error: unknown): string | null {
  if (error instanceof UsageError) return error.message;
  if (isVlmError(error)) {
    const [what = ""] = error.message.split("\n");
    const place = error.where ? ` (${error.where})` : "";
    const advice = error.hint ? `: ${error.hint}` : "";
    return `${capital(what.replace(/^\[\w+\] /, ""))}${place}${advice}.`;
  }
  // node:util's parseArgs
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === "string" && code.startsWith("ERR_PARSE_ARGS")) return `${(error as Error).message} Try --help.`;
  return null;
}

/** A first word before a colon is a name, and stays as it is. */
const capital = (text: string): string => (/^\S+:/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1));
