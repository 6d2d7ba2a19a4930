/**
 * Realisation: from graph nodes to numbers. Submissions run first in, first out, at most two in flight; each one's
 * verdict is attached to the storage it made and is thrown by whoever reads it.
 */
import type { Buffer } from "../backends/backend.ts";
import { bytesPerElement, type HostArray, type HostData, hostArray } from "../dtype.ts";
import { isVlmError, VlmError } from "../errors.ts";
import { bitsToFloats } from "../float-bits.ts";
import type { Node, Storage } from "../graph/node.ts";
import { buildProgram, type Program } from "../graph/program.ts";
import { copyOf } from "../ops/copy.ts";
import { shown, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { activeDevice, type Device, defaultDevice } from "./device.ts";
import { noteHistory } from "./history.ts";
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

/** Starts runs in the order they were given, at most two at a time; settles with the run's verdict. */
export function enqueue(start: () => Promise<Started>): Promise<void> {
  const started = tail.then(start);
  tail = started.then(
    async ({ verdict }) => {
      inFlight.push(verdict.catch(() => {}));
      if (inFlight.length >= MOST_IN_FLIGHT) await inFlight.shift();
    },
    () => {},
  );
  return started.then(({ verdict }) => verdict);
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
    const { program, leaves } = buildProgram(wanted, device?.supports ?? (() => false));
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
    settle(enqueue(async () => execute(device ?? (await defaultDevice()), program, leaves, storages)));
  }
  return Promise.all(nodes.map((node) => storageOf(node).ready)).then(() => {});
}

/** Starts a program: inputs from the leaves' storages, outputs into the given ones. */
export async function execute(
  device: Device,
  program: Program,
  leaves: readonly Node[],
  outputs: readonly RealStorage[],
): Promise<Started> {
  try {
    return await start(device, program, leaves, outputs);
  } catch (error) {
    for (const storage of outputs) storage.failure = error;
    throw error;
  }
}

async function start(
  device: Device,
  program: Program,
  leaves: readonly Node[],
  outputs: readonly RealStorage[],
): Promise<Started> {
  const prepared = await cache.get(device, program);
  await pressure();
  const inputs = leaves.map((leaf) => bufferOf(leaf, device));
  for (const old of oldUploads(leaves.map((leaf) => storageOf(leaf)))) freeNow(old);
  const buffers: Buffer[] = [];
  try {
    for (const at of program.outputs) {
      const { dtype, shape } = program.nodes[at]!;
      buffers.push(device.allocate(dtype, sizeOf(shape)));
    }
  } catch (error) {
    for (const buffer of buffers) device.free(buffer);
    throw error;
  }
  outputs.forEach((storage, i) => {
    storage.device = device;
    storage.buffer = buffers[i]!;
    watch(storage);
  });
  const run = device.run(prepared, inputs, buffers);
  // A run on the results of a failed run has failed too.
  const open = leaves.map((leaf) => storageOf(leaf)).filter((storage) => !storage.settled);
  const verdict = open.length === 0 ? run : Promise.all([run, ...open.map((storage) => storage.ready)]).then(() => {});
  verdict.catch((error) => {
    for (const storage of outputs) {
      storage.failure = error;
      releaseStorage(storage, "its computation failed");
    }
  });
  return { verdict };
}

/** The device memory of a leaf, uploading host data on first use. */
function bufferOf(leaf: Node, device: Device): Buffer {
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
  if (storage.buffer === null) {
    if (!host) throw goneError(leaf, null);
    const buffer = device.allocate(leaf.dtype, leaf.size);
    try {
      device.write(buffer, host);
    } catch (error) {
      device.free(buffer);
      throw error;
    }
    storage.uploaded = true;
    storage.origin = leaf.origin;
    storage.device = device;
    storage.buffer = buffer;
    watch(storage);
  }
  return storage.buffer;
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
    if (isVlmError(error)) throw error;
    throw new VlmError("GraphError", "RUN_FAILED", { what: `a computation failed: ${String(error)}`, cause: error });
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
