/** A problem that the person can solve: printed as its one sentence, without a stack. */
export class Problem extends Error {}
/** The sentence for a failed command, or undefined when its output names no cause that is known here. */
export function sentenceFor(output: string, what?: string): string | undefined;
