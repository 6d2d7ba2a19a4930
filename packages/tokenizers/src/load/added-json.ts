/** An entry of `added_tokens` without special rules. */
export function addedJson(token: { id: number; content: string; special: boolean }): Record<string, unknown> {
  const { id, content, special } = token;
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}
