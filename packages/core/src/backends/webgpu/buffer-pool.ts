/**
 * Storage buffers by size. What is given back is taken again for the same size: work that still uses it was submitted
 * before any work of its next owner, and a queue runs in order.
 */
export class BufferPool {
  private readonly device: GPUDevice;
  private readonly idle = new Map<number, GPUBuffer[]>();
  private readonly ids = new WeakMap<GPUBuffer, number>();
  private readonly all = new Set<GPUBuffer>();
  private count = 0;
  private used = 0;
  private usedBuffers = 0;
  private idleBytes = 0;
  private peak = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  take(bytes: number): GPUBuffer {
    const size = roundUp(bytes);
    let buffer = this.idle.get(size)?.pop();
    if (buffer) this.idleBytes -= size;
    else {
      const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
      buffer = this.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
      this.ids.set(buffer, this.count++);
      this.all.add(buffer);
    }
    this.used += size;
    this.usedBuffers++;
    this.peak = Math.max(this.peak, this.used);
    return buffer;
  }

  give(buffer: GPUBuffer): void {
    const { size } = buffer;
    this.used -= size;
    this.usedBuffers--;
    const list = this.idle.get(size);
    if (list) list.push(buffer);
    else this.idle.set(size, [buffer]);
    this.idleBytes += size;
    if (this.idleBytes > Math.max(2 ** 28, this.peak)) this.trim();
  }

  /** Gives everything idle back to the device. */
  trim(): void {
    for (const list of this.idle.values()) {
      for (const buffer of list) {
        buffer.destroy();
        this.all.delete(buffer);
      }
    }
    this.idle.clear();
    this.idleBytes = 0;
  }

  idOf(buffer: GPUBuffer): number {
    return this.ids.get(buffer)!;
  }

  memory(): { bytes: number; buffers: number; peak: number } {
    return { bytes: this.used, buffers: this.usedBuffers, peak: this.peak };
  }

  destroy(): void {
    for (const buffer of this.all) buffer.destroy();
    this.all.clear();
    this.idle.clear();
  }
}

/** Small sizes to 256 bytes, larger ones to a 16th of their power of two: few sizes, little waste. */
function roundUp(bytes: number): number {
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(Math.max(1, bytes))) - 4));
  return Math.ceil(bytes / step) * step;
}
