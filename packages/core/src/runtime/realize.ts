/**
 * Realisation: from graph nodes to numbers. Submissions run first in, first out, at most two in flight; each one's
 * verdict is attached to the storage it made and is thrown by whoever reads it.
 */
import type { Buffer } from "../backends/backend.ts";
import { bytesPerElement, type DType, type HostArray, type HostData, hostArray } from "../dtype.ts";
import { isVlmError, VlmError } from "../errors.ts";
import { bitsToFloats } from "../float-bits.ts";
import type { Node, Storage } from "../graph/node.ts";
import { buildProgram, type Program } from "../graph/program.ts";
import { copyOf } from "../ops/copy.ts";
import type { IndexCheck } from "../ops/indices.ts";
import { shown, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { activeDevice, type Device, defaultDevice, type Prepared } from "./device.ts";
import { noteHistory } from "./history.ts";
import { checked, flagsOf } from "./index-checks.ts";
import { oldUploads, pressure, unwatch, watch } from "./memory.ts";
import { PlanCache } from "./plan-cache.ts";
import { assertNotTracing } from "./trace.ts";

/** Verdicts that some storage waits for, and those that were good. One run fills hundreds of storages. */
const watched = new WeakSet<Promise<void>>();
const succeeded = new WeakSet<Promise<void>>();

/** Storage as the runtime keeps it: `ready` settles with the verdict of the run that fills it. */
export class RealStorage implements Storage {
  device: Device | null = null;
  buffer: Buffer | null = null;
  gone: string | null = null;
  /** Why the run that was to fill it failed: told to everyone who uses it. */
  failure: unknown = null;
  /** Bytes of JavaScript memory that make the garbage collector feel the weight of the device memory. */
  ballast: ArrayBuffer | null = null;
  /** True for a device copy of data that the host still has: it may be dropped and made again. */
  uploaded = false;
  /** Where the program made the tensor, in debug mode. */
  origin: string | null = null;
  readonly bytes: number;
  readonly ready: Promise<void>;
  readonly owner: string;

  constructor(bytes: number, ready: Promise<void>, owner: string) {
    this.bytes = bytes;
    this.ready = ready;
    this.owner = owner;
    if (watched.has(ready)) return;
    watched.add(ready);
    ready.then(
      () => succeeded.add(ready),
      () => {},
    );
  }

  /** True once the run that fills it has succeeded. */
  get settled(): boolean {
    return succeeded.has(this.ready);
  }
}

const cache = new PlanCache();
let tail: Promise<unknown> = Promise.resolve();
const inFlight: Promise<unknown>[] = [];
/** One runs and the next is ready behind it. */
const MOST_IN_FLIGHT = 2;

/** A started run. (An object, since a promise for a promise is one promise.) */
type Started = { verdict: Promise<void> };

/**
 * Starts runs in the order they were given, at most two at a time; settles with the run's verdict. A run whose signal
 * fires before its turn is left out.
 */
export function enqueue(start: () => Promise<Started>, signal?: AbortSignal): Promise<void> {
  let begun = false;
  const started = tail.then(() => {
    begun = true;
    signal?.throwIfAborted();
    return start();
  });
  tail = started.then(
    async ({ verdict }) => {
      inFlight.push(verdict.catch(() => {}));
      if (inFlight.length >= MOST_IN_FLIGHT) await inFlight.shift();
    },
    () => {},
  );
  return unlessAborted(started, signal, () => !begun).then(({ verdict }) => verdict);
}

type First = { value: Node; owner: string; reads: readonly Node[] };

/** First values of cells, by the leaf that stands for them, until a plan reads it. */
const firsts = new WeakMap<Node, First>();

/** The leaf stands for `value`, made from the leaves `reads` of other cells, which is computed when a plan first reads it. */
export function noteFirst(leaf: Node, value: Node, owner: string, reads: readonly Node[]): void {
  firsts.set(leaf, { value, owner, reads });
}

/** Computes the first values among these leaves in one plan; those made from other cells in a plan after these. */
export function bear(leaves: readonly Node[]): void {
  const unborn = new Map<Node, First>();
  const queue = [...leaves];
  for (const leaf of queue) {
    const first = firsts.get(leaf);
    if (!first || leaf.storage || unborn.has(leaf)) continue;
    unborn.set(leaf, first);
    queue.push(...first.reads);
  }
  while (unborn.size > 0) {
    const next = [...unborn].filter(([, { reads }]) => !reads.some((leaf) => unborn.has(leaf)));
    // A host array or a tensor may serve several cells: each gets storage of its own, since versions are freed one by one.
    const copies = next.map(([, { value }]) => copyOf(value));
    const owners = next.map(([, { owner }]) => owner);
    submit(copies, "cells", owners).catch(() => {});
    next.forEach(([leaf], i) => {
      leaf.storage = copies[i]!.storage;
      firsts.delete(leaf);
      unborn.delete(leaf);
    });
  }
}

/**
 * Starts computing the nodes in one plan, giving each a storage at once (filled later). Nodes that have one are left
 * alone. The result settles with the verdict, which the readers of the storages get too.
 */
export function submit(nodes: readonly Node[], owner = "tensors", owners: readonly string[] = []): Promise<void> {
  const wanted = [...new Set(nodes)].filter((node) => node.storage === null && node.op.kind !== "data");
  if (wanted.length === 0) bear(nodes);
  else {
    const device = deviceOf(wanted) ?? activeDevice();
    // Before a device is open it is not known which kernels it has: then every kernel is its reference.
    const { checks, flags } = flagsOf(wanted);
    const { program, leaves } = buildProgram([...wanted, ...flags], device?.supports ?? (() => false));
    bear([...nodes, ...leaves]);
    noteHistory(wanted, leaves);
    let settle!: (verdict: Promise<void>) => void;
    const ready = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const ownerOf = new Map(owners.map((name, i) => [nodes[i]!, name]));
    const storages = wanted.map((node) => {
      const bytes = node.size * bytesPerElement(node.dtype);
      const storage = new RealStorage(bytes, ready, ownerOf.get(node) ?? owner);
      storage.origin = node.origin;
      node.storage = storage;
      return storage;
    });
    settle(enqueue(async () => execute(device ?? (await defaultDevice()), program, leaves, storages, checks)));
  }
  return Promise.all(nodes.map((node) => storageOf(node).ready)).then(() => {});
}

/** Starts a program: inputs from the leaves' storages, outputs into the given ones, and behind them the checks' flags. */
export async function execute(
  device: Device,
  program: Program,
  leaves: readonly Node[],
  outputs: readonly RealStorage[],
  checks: readonly IndexCheck[],
  signal?: AbortSignal,
): Promise<Started> {
  try {
    const prepared = await unlessAborted(cache.get(device, program), signal);
    return await start(device, program, prepared, leaves, outputs, checks);
  } catch (error) {
    const failure = signal?.aborted ? error : typed(error);
    for (const storage of outputs) storage.failure = failure;
    throw failure;
  }
}

/** The promise, or the signal's reason if that comes first, and as long as `may` holds. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined, may = () => true): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      if (may()) reject(signal.reason);
    };
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.finally(() => signal.removeEventListener("abort", stop)).then(resolve, reject);
  });
}

const typed = (error: unknown): VlmError =>
  isVlmError(error)
    ? error
    : new VlmError("GraphError", "RUN_FAILED", { what: `a computation failed: ${String(error)}`, cause: error });

async function start(
  device: Device,
  program: Program,
  prepared: Prepared,
  leaves: readonly Node[],
  outputs: readonly RealStorage[],
  checks: readonly IndexCheck[],
): Promise<Started> {
  await pressure();
  const fresh = leaves.filter((leaf) => needsUpload(leaf, device));
  if (fresh.length > 0) await upload(fresh, device, prepared);
  for (const old of oldUploads(leaves.map((leaf) => storageOf(leaf)))) freeNow(old);
  const specs = program.outputs.map((at) => program.nodes[at]!);
  const buffers = await allocateAll(specs, device, prepared);
  const inputs = leaves.flatMap((leaf) => storageOf(leaf).buffer ?? []);
  if (inputs.length < leaves.length) {
    // Somebody disposed of an input meanwhile.
    for (const buffer of buffers) device.free(buffer);
    const leaf = leaves.find((input) => storageOf(input).buffer === null)!;
    throw goneError(leaf, storageOf(leaf).gone);
  }
  outputs.forEach((storage, i) => {
    storage.device = device;
    storage.buffer = buffers[i]!;
    watch(storage);
  });
  const done = device.run(prepared, inputs, buffers);
  const run = checks.length === 0 ? done : checked(done, device, checks, buffers.slice(outputs.length));
  // A run on the results of a failed run has failed too.
  const open = leaves.map((leaf) => storageOf(leaf)).filter((storage) => !storage.settled);
  const verdict = open.length === 0 ? run : Promise.all([run, ...open.map((storage) => storage.ready)]).then(() => {});
  verdict.catch((error) => {
    for (const storage of outputs) {
      storage.failure = typed(error);
      releaseStorage(storage, "its computation failed");
    }
  });
  return { verdict };
}

/** Memory for all of these, or for none. */
async function allocateAll(
  specs: readonly { dtype: DType; shape: readonly number[] }[],
  device: Device,
  prepared: Prepared,
): Promise<Buffer[]> {
  const buffers: Buffer[] = [];
  try {
    for (const { dtype, shape } of specs) buffers.push(device.allocate(dtype, sizeOf(shape)));
    const told = device.ensure?.(prepared, buffers);
    if (told) await told;
  } catch (error) {
    for (const buffer of buffers) device.free(buffer);
    throw error;
  }
  return buffers;
}

/** Copies host data to the device. */
async function upload(leaves: readonly Node[], device: Device, prepared: Prepared): Promise<void> {
  const buffers = await allocateAll(leaves, device, prepared);
  try {
    leaves.forEach((leaf, i) => {
      const { gone } = storageOf(leaf);
      if (gone !== null) throw goneError(leaf, gone);
      device.write(buffers[i]!, leaf.attributes.host as HostData);
    });
  } catch (error) {
    for (const buffer of buffers) device.free(buffer);
    throw error;
  }
  leaves.forEach((leaf, i) => {
    const storage = storageOf(leaf);
    storage.uploaded = true;
    storage.origin = leaf.origin;
    storage.device = device;
    storage.buffer = buffers[i]!;
    watch(storage);
  });
}

/** Whether a leaf is host data that the device does not have yet. Throws where its data is lost or elsewhere. */
function needsUpload(leaf: Node, device: Device): boolean {
  const storage = storageOf(leaf);
  if (storage.gone !== null || storage.failure !== null) throw goneError(leaf, storage.gone);
  const host = leaf.attributes.host as HostData | undefined;
  if (storage.device !== device && storage.device !== null) {
    if (!host && storage.device.lost) throw storage.device.lost;
    if (!host) {
      throw new VlmError("GraphError", "DEVICE_MIXED", {
        what: `a tensor ${shown(leaf.shape)} lies on ${storage.device.name}, the computation runs on ${device.name}`,
        where: leaf.where ?? undefined,
        hint: "read it with data() and make a new tensor, or finish the work before useDevice()",
      });
    }
    freeNow(storage);
  }
  if (storage.buffer !== null) return false;
  if (!host) throw goneError(leaf, null);
  return true;
}

/** The error of the run that was to make a node, or why its data was given up since. */
function goneError(node: Node, why: string | null): unknown {
  const { failure } = storageOf(node);
  if (failure !== null) return failure;
  return new VlmError("DisposedError", "STORAGE_GONE", {
    what: `the data of a tensor ${shown(node.shape)} is gone: ${why ?? "its computation failed"}`,
    where: node.where ?? undefined,
    hint: "read or recompute it before that happens",
  });
}

/** The storage of a realised or host node. */
export function storageOf(node: Node): RealStorage {
  if (!node.storage) {
    if (node.op.kind !== "data") throw new Error(`${node.op.name} is not realised`);
    node.storage = new RealStorage(node.size * bytesPerElement(node.dtype), Promise.resolve(), "inputs");
  }
  return node.storage as RealStorage;
}

/** The device that holds the computed inputs of these nodes; null when they use only host data. */
function deviceOf(nodes: readonly Node[]): Device | null {
  const seen = new Set<Node>();
  const stack = [...nodes];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    const storage = node.storage as RealStorage | null;
    if (!storage) stack.push(...node.inputs);
    else if (storage.device && !node.attributes.host) return storage.device;
  }
  return null;
}

/** Computes the tensors, all in one plan. Reading them afterwards does not compute again. */
export async function realize(...tensors: readonly Tensor[]): Promise<void> {
  assertNotTracing();
  // With the device open, its own kernels are planned from the first plan on.
  if (!activeDevice()) await defaultDevice();
  await submit(tensors.map((tensor) => tensor.node));
}

/** The elements of a node, computing it first if needed. */
export async function read(node: Node): Promise<HostArray> {
  assertNotTracing();
  if (node.storage && node.storage.gone !== null) throw goneError(node, node.storage.gone);
  const host = node.attributes.host as HostData | undefined;
  if (host instanceof Uint16Array) return bitsToFloats(host, node.dtype as "f16" | "bf16");
  if (host) return host.slice() as HostArray;
  if (node.size === 0) return hostArray(node.dtype, 0);
  if (!node.storage && !activeDevice()) await defaultDevice();
  if (!node.storage) submit([node]).catch(() => {});
  const storage = storageOf(node);
  try {
    await storage.ready;
    if (storage.gone !== null) throw goneError(node, storage.gone);
    return await storage.device!.read(storage.buffer!);
  } catch (error) {
    // A run that was aborted has failed by the signal's reason.
    throw error === storage.failure ? error : typed(error);
  }
}

/** Frees a node's storage; later reads throw `why`. */
export function release(node: Node, why: string): void {
  if (node.storage || node.op.kind === "data") releaseStorage(storageOf(node), why);
}

/** Frees a storage once; later reads throw `why`. */
export function releaseStorage(storage: RealStorage, why: string): void {
  if (storage.gone !== null) return;
  storage.gone = why;
  freeNow(storage);
}

function freeNow(storage: RealStorage): void {
  if (!storage.buffer || !storage.device) return;
  unwatch(storage);
  storage.device.free(storage.buffer);
  storage.buffer = null;
  storage.device = null;
}
