/** What a page shows while a driver compiles: on some systems the first plan takes half a minute. */

/** Kernels that are compiled, of all that were asked for since the device last had none to compile. */
export type CompileProgress = { ready: number; total: number };

let listener: ((progress: CompileProgress) => void) | null = null;

/**
 * Calls `listen` when the webgpu device begins to compile kernels and whenever one is ready; gives back what undoes it.
 * There is one listener.
 */
export function onCompile(listen: (progress: CompileProgress) => void): () => void {
  const before = listener;
  listener = listen;
  return () => {
    listener = before;
  };
}

export const tellProgress = (progress: CompileProgress): void => listener?.(progress);
