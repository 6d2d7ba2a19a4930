import type { Tensor } from "./tensor.ts";

/** What is ambient while a graph is built. */
export type Context = {
  /** True while training: dropout drops, batch norm uses batch statistics. Default false. */
  training: boolean;
  /** Source of randomness for layers (u32 [2]); `drawKey` hands out sub-keys. */
  key: Tensor | null;
  /** Module path, for errors and profiles. */
  path: readonly string[];
};

let current: Context = { training: false, key: null, path: [] };
/** Sub-keys drawn so far from the current key. */
let draws = { count: 0 };

/** The key of the context and the number of the draw: `random.fold(key, draw)` is fresh at every call. Null without key. */
export function drawKey(): { key: Tensor; draw: number } | null {
  return current.key ? { key: current.key, draw: draws.count++ } : null;
}

/** Remembers the context and its draws as they are now; the result runs functions under exactly that state. */
export function snapshotContext(): <T>(fn: () => T) => T {
  const [settings, count] = [current, draws.count];
  return (fn) => {
    const [before, beforeDraws] = [current, draws];
    current = settings;
    draws = { count };
    try {
      return fn();
    } finally {
      current = before;
      draws = beforeDraws;
    }
  };
}

/** The context of the graph being built now. */
export const currentContext = (): Context => current;

/**
 * Builds a graph under other settings: `context({ training: true, key }, () => loss(batch))`.
 * `fn` must be synchronous: building a graph never waits.
 */
export function context<T>(settings: Partial<Context>, fn: () => T): T {
  const [before, beforeDraws] = [current, draws];
  current = { ...before, ...settings };
  if (settings.key !== undefined && settings.key !== before.key) draws = { count: 0 };
  try {
    return fn();
  } finally {
    current = before;
    draws = beforeDraws;
  }
}

/** The module path now, or null outside any module. */
export const currentPath = (): string | null => (current.path.length > 0 ? current.path.join(".") : null);
