/** Device memory: buffers that are used again by exact size, and slots that all plans share for their temporaries. */
import type { DType } from "../../dtype.ts";
import type { Buffer } from "../backend.ts";
import type { Connection } from "./connection.ts";
import { limitExceeded, outOfMemory, type Usage, wrap } from "./errors.ts";
import { storedBytes } from "./storage.ts";

const STORAGE = 0x80; // GPUBufferUsage.STORAGE
const COPY_SRC = 0x04;
const COPY_DST = 0x08;
const MAP_READ = 0x01;
const TENSOR = STORAGE | COPY_SRC | COPY_DST;

/** A GPUBuffer with a number by which bind groups know it. */
export type Block = {
  gpu: GPUBuffer;
  id: number;
  bytes: number;
  /** Whether the device had memory for it; null once it is known that it had. */
  verdict: Promise<void> | null;
  /** The device had none: the block is of no use. */
  failed: boolean;
};

export type GpuBuffer = Buffer & {
  block: Block | null;
  /** The verdict of the run that wrote it last. */
  verdict: Promise<void> | null;
};

/** Freed memory that is kept for the next tensor of the same size. */
const LEAST_POOL = 64 * 2 ** 20;

/** Fresh memory of less than this is used before the device has said that it has it: waiting would cost more than it saves. */
const TRUSTED = 2 ** 20;

export class DeviceMemory {
  private readonly connection: Connection;
  private readonly pool = new Map<number, Block[]>();
  private readonly staging: Block[] = [];
  readonly slots: Block[] = [];
  private count = 0;
  private live = 0;
  private buffers = 0;
  private peak = 0;
  private pooled = 0;

  constructor(connection: Connection) {
    this.connection = connection;
    connection.usage = () => this.usage();
  }

  private create(bytes: number, usage: number, label: string): Block {
    const { device } = this.connection;
    const { maxBufferSize } = device.limits;
    if (bytes > maxBufferSize) {
      throw limitExceeded(`a buffer of ${bytes} bytes is wanted, the device allows ${maxBufferSize}`, {
        bytes,
        limit: maxBufferSize,
      });
    }
    const make = (): GPUBuffer => device.createBuffer({ size: bytes, usage, label });
    const { result, verdict } = this.connection.guarded(`allocating ${bytes} bytes`, make);
    const told = verdict.catch((error: { name?: string }) => {
      const inUse = this.usage();
      this.purge();
      throw error.name === "OutOfMemoryError" ? outOfMemory(bytes, inUse, error) : error;
    });
    told.catch(() => {});
    const block: Block = { gpu: result, id: ++this.count, bytes, verdict: told, failed: false };
    told.then(
      () => {
        block.verdict = null;
      },
      () => {
        block.failed = true;
      },
    );
    return block;
  }

  private take(bytes: number): Block {
    const block = this.pool.get(bytes)?.pop();
    if (!block) return this.create(bytes, TENSOR, "tensor");
    this.pooled -= bytes;
    return block;
  }

  allocate(dtype: DType, size: number): GpuBuffer {
    if (size >= 2 ** 31) {
      throw limitExceeded(`a tensor of ${size} elements is wanted, kernels count to ${2 ** 31 - 1}`, { size });
    }
    const bytes = storedBytes(dtype, size);
    const block = this.take(bytes);
    this.live += bytes;
    this.buffers++;
    this.peak = Math.max(this.peak, this.live);
    return { dtype, size, bytes, block, verdict: null };
  }

  free(buffer: GpuBuffer): void {
    const { block } = buffer;
    if (!block) return;
    buffer.block = null;
    this.live -= block.bytes;
    this.buffers--;
    this.giveBack(block);
  }

  private giveBack(block: Block): void {
    // Memory that the device never had, or of a lost device, is no use to anyone.
    const keep = !this.connection.lost && block.verdict === null;
    if (!keep || this.pooled + block.bytes > Math.max(LEAST_POOL, this.live / 4)) {
      block.gpu.destroy();
      return;
    }
    const same = this.pool.get(block.bytes);
    if (same) same.push(block);
    else this.pool.set(block.bytes, [block]);
    this.pooled += block.bytes;
  }

  /** A block outside the count of tensors, for the time of one call. */
  borrow(bytes: number): { block: Block; giveBack: () => void } {
    const block = this.take(bytes);
    return { block, giveBack: () => this.giveBack(block) };
  }

  /** Makes sure that slot i holds at least sizes[i] bytes. */
  reserve(sizes: readonly number[]): void {
    sizes.forEach((bytes, i) => {
      const slot = this.slots[i];
      if (slot && slot.bytes >= bytes && !slot.failed) return;
      const grown = this.create(bytes, TENSOR, "temporary");
      slot?.gpu.destroy();
      this.slots[i] = grown;
    });
  }

  /**
   * Settles once the device has said that it has the memory of these buffers and of slots of these sizes. What it had
   * none for before is asked for again.
   */
  async confirm(buffers: readonly GpuBuffer[], sizes: readonly number[]): Promise<void> {
    for (const buffer of buffers) {
      if (!buffer.block?.failed) continue;
      buffer.block.gpu.destroy();
      buffer.block = this.create(buffer.block.bytes, TENSOR, "tensor");
    }
    this.reserve(sizes);
    const blocks = [...buffers.map(({ block }) => block!), ...this.slots.slice(0, sizes.length)];
    const fresh = blocks.filter(({ verdict }) => verdict !== null);
    if (fresh.reduce((sum, { bytes }) => sum + bytes, 0) < TRUSTED) return;
    for (const told of await Promise.allSettled(fresh.map(({ verdict }) => verdict))) {
      if (told.status === "rejected") throw told.reason;
    }
  }

  /** A buffer that the host can map, of at least `bytes`. */
  stage(bytes: number): Block {
    const wanted = Math.max(256, 2 ** Math.ceil(Math.log2(bytes)));
    const at = this.staging.findIndex((block) => block.bytes === wanted);
    if (at >= 0) return this.staging.splice(at, 1)[0]!;
    return this.create(Math.min(wanted, this.connection.device.limits.maxBufferSize), MAP_READ | COPY_DST, "read");
  }

  unstage(block: Block, healthy: boolean): void {
    if (healthy && !this.connection.lost && block.bytes <= LEAST_POOL && this.staging.length < 4) {
      this.staging.push(block);
    } else block.gpu.destroy();
  }

  /** Gives unused memory back to the device; runs that were submitted keep what they use until they are done. */
  purge(): void {
    for (const slot of this.slots.splice(0)) slot.gpu.destroy();
    for (const blocks of this.pool.values()) for (const block of blocks) block.gpu.destroy();
    this.pool.clear();
    this.pooled = 0;
    for (const block of this.staging.splice(0)) block.gpu.destroy();
  }

  write(block: Block, data: ArrayBufferView): void {
    try {
      this.connection.device.queue.writeBuffer(
        block.gpu,
        0,
        data.buffer as ArrayBuffer,
        data.byteOffset,
        data.byteLength,
      );
    } catch (error) {
      throw wrap("writing a tensor", error);
    }
  }

  private usage(): Usage {
    const temporaries = this.slots.reduce((sum, { bytes, failed }) => sum + (failed ? 0 : bytes), 0);
    return { inUse: this.live, peak: this.peak, temporaries };
  }

  report(): { bytes: number; buffers: number; peak: number; pooled: number; temporaries: number } {
    const { live, buffers, peak, pooled } = this;
    return { bytes: live, buffers, peak, pooled, temporaries: this.usage().temporaries };
  }
}
