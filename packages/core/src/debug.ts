/**
 * `VLM_DEBUG` levels: 1 devices, and where tensors were made (at this level alone, devices check indices too), 2 time per
 * kernel, 3 plans and what was fused, 4 kernel source. Each level includes those below. In a page: `?VLM_DEBUG=3`.
 */
import type { Schedule } from "./ir/kernel.ts";

/** What `onDebug` hears of: a device opened, a kernel timed, a plan made, and so on. */
export type DebugEvent =
  | { kind: "device"; text: string }
  | { kind: "kernel"; name: string; milliseconds: number; bytes: number; flops: number }
  | { kind: "plan"; device: string; nodes: number; schedule: Schedule }
  | { kind: "source"; name: string; text: string };

const LEVELS: Record<DebugEvent["kind"], number> = { device: 1, kernel: 2, plan: 3, source: 4 };

let level = readLevel();
let listener: (event: DebugEvent) => void = print;

function readLevel(): number {
  if (typeof process !== "undefined" && process.env?.VLM_DEBUG) return Number(process.env.VLM_DEBUG) || 0;
  const search = (globalThis as { location?: { search?: string } }).location?.search;
  return search ? Number(new URLSearchParams(search).get("VLM_DEBUG")) || 0 : 0;
}

/** Sends what happens to a listener, at a level of `VLM_DEBUG`; gives back what undoes it. */
export function onDebug(listen: (event: DebugEvent) => void, at = 6): () => void {
  const before = { level, listener };
  level = at;
  listener = listen;
  return () => {
    level = before.level;
    listener = before.listener;
  };
}

export const debugLevel = (): number => level;

/** Reports an event when its level is on; `make` runs only then. */
export function debug<K extends DebugEvent["kind"]>(
  kind: K,
  make: () => Omit<Extract<DebugEvent, { kind: K }>, "kind">,
): void {
  if (level >= LEVELS[kind]) listener({ kind, ...make() } as unknown as DebugEvent);
}

function print(event: DebugEvent): void {
  if (event.kind === "device") console.error(`[vlm] ${event.text}`);
  else if (event.kind === "kernel") {
    const ms = event.milliseconds;
    const rates = `${(event.bytes / ms / 1e6).toFixed(1)} GB/s ${(event.flops / ms / 1e6).toFixed(1)} GFLOP/s`;
    console.error(`[vlm]   ${ms.toFixed(3)} ms ${rates}  ${event.name}`);
  } else if (event.kind === "source") console.error(`[vlm] ${event.name}\n${event.text}`);
  else {
    console.error(`[vlm] plan for ${event.device}: ${event.nodes} nodes in ${event.schedule.kernels.length} kernels`);
    for (const kernel of event.schedule.kernels) console.error(`[vlm]   ${kernel.kind} ${kernel.name}`);
  }
}
