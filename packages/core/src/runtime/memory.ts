/** Accounting of device memory, and the net under forgotten tensors. */
import type { Buffer } from "../backends/backend.ts";
import { debugLevel } from "../debug.ts";
import { uncleared } from "../host-memory.ts";
import { activeDevice, type Device } from "./device.ts";
import type { RealStorage } from "./realize.ts";

const live = new Map<string, { bytes: number; tensors: number }>();
let liveBytes = 0;
let allocatedSinceYield = 0;

/** Bytes allocated between two turns of the event loop, after which the loop gets a turn (finalisers run there). */
const YIELD_EVERY = 64 * 2 ** 20;

const registry = new FinalizationRegistry<{ device: Device; buffer: Buffer; bytes: number; owner: string }>(
  ({ device, buffer, bytes, owner }) => {
    device.free(buffer);
    count(owner, -bytes, -1);
  },
);

/**
 * Frees device memory when the last handle is forgotten. Device memory is invisible to the garbage collector, so the
 * handle carries ballast of its size (up to a limit): without it, 1,000 results of 4 MB were alive at once.
 */
export function watch(storage: RealStorage): void {
  if (debugLevel() > 0) traced.add(new WeakRef(storage));
  const { device, buffer, bytes, owner } = storage;
  if (owner === "tensors" && bytes > 4096 && device?.name !== "js") {
    storage.ballast = uncleared(Math.min(bytes, 2 ** 22));
  }
  registry.register(storage, { device: device!, buffer: buffer!, bytes, owner }, storage);
  count(owner, bytes, 1);
  allocatedSinceYield += bytes;
}

/** Storages that were given memory, from `VLM_DEBUG=1` on. */
const traced = new Set<WeakRef<RealStorage>>();

/** A tensor that owns device memory. */
export type LiveTensor = { bytes: number; owner: string; line: string };

/**
 * Tensors that own device memory now, largest first, with the line of the program that made each. Empty unless
 * `VLM_DEBUG` is at least 1.
 */
export function leaks(): LiveTensor[] {
  const found: LiveTensor[] = [];
  for (const ref of traced) {
    const storage = ref.deref();
    if (!storage?.buffer) traced.delete(ref);
    else found.push({ bytes: storage.bytes, owner: storage.owner, line: lineOf(storage.origin) });
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

/** The first line of a stack that is not this library's. */
function lineOf(stack: string | null): string {
  const lines = (stack ?? "").split("\n").slice(1);
  const own = /@vlm[\\/]core[\\/]|packages[\\/]core[\\/]src[\\/]|node:internal/;
  return (lines.find((line) => !own.test(line)) ?? "unknown").trim().replace(/^at /, "");
}

/** The storage is freed by hand: its finaliser has nothing left to do. */
export function unwatch(storage: RealStorage): void {
  registry.unregister(storage);
  forget(storage);
  storage.ballast = null;
  count(storage.owner, -storage.bytes, -1);
}

function count(owner: string, bytes: number, tensors: number): void {
  let entry = live.get(owner);
  if (!entry) live.set(owner, (entry = { bytes: 0, tensors: 0 }));
  entry.bytes += bytes;
  entry.tensors += tensors;
  liveBytes += bytes;
}

/** Device copies of host data, the least recently used first. */
const uploads = new Set<RealStorage>();
let uploadedBytes = 0;

/** Device copies that are kept for their next use: bytes, and number. */
const KEPT_UPLOADS = { bytes: 64 * 2 ** 20, tensors: 4096 };

/**
 * Notes the uploads among a run's inputs as used now; gives the ones to drop, oldest first, so that batches which were
 * used once do not pile up until the collector finds them. The host has their data: a later use uploads again.
 */
export function oldUploads(inputs: readonly RealStorage[]): RealStorage[] {
  let now = 0;
  for (const storage of inputs) {
    if (!storage.uploaded) continue;
    forget(storage);
    uploads.add(storage);
    uploadedBytes += storage.bytes;
    now++;
  }
  const old: RealStorage[] = [];
  for (const storage of uploads) {
    const many = uploadedBytes > KEPT_UPLOADS.bytes || uploads.size > KEPT_UPLOADS.tensors;
    if (!many || uploads.size <= now) break;
    forget(storage);
    old.push(storage);
  }
  return old;
}

function forget(storage: RealStorage): void {
  if (uploads.delete(storage)) uploadedBytes -= storage.bytes;
}

/** Under allocation pressure, lets the event loop turn so that finalisers can run. */
export async function pressure(): Promise<void> {
  if (allocatedSinceYield < YIELD_EVERY) return;
  allocatedSinceYield = 0;
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
}

/** Live device memory, by owner ("tensors", "parameters", …), in bytes. */
export function memory(): {
  bytes: number;
  byOwner: Record<string, { bytes: number; tensors: number }>;
  device: { bytes: number; buffers: number; peak: number } | null;
} {
  return {
    bytes: liveBytes,
    byOwner: Object.fromEntries([...live].map(([owner, entry]) => [owner, { ...entry }])),
    device: activeDevice()?.memory() ?? null,
  };
}
