/** What an adapter can do at best: bytes copied and multiply-adds done per second, by kernels that do nothing else. */

const COPY = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 256u;
  if (at < arrayLength(&source)) { target_[at] = source[at]; }
}`;

const ACCUMULATORS = 8;
const LOOPS = 256;

const FMA = /* wgsl */ `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = source[0];
  let y = source[1];
${Array.from({ length: ACCUMULATORS }, (_, i) => `  var a${i} = source[${i + 2}];`).join("\n")}
  for (var i = 0; i < ${LOOPS}; i++) {
${Array.from({ length: ACCUMULATORS }, (_, i) => `    a${i} = fma(a${i}, x, y);`).join("\n")}
  }
  target_[id.x] = ${Array.from({ length: ACCUMULATORS }, (_, i) => `a${i}`).join(" + ")};
}`;

export type Ceilings = { copyGBs: number; fmaGFLOPs: number };

/** Best of many dispatches, by timestamps. `scale` multiplies the amount of work. */
export async function measureCeilings(device: GPUDevice, scale: number): Promise<Ceilings> {
  const bytes = Math.min(2 ** 22 * scale, device.limits.maxStorageBufferBindingSize);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const source = device.createBuffer({ size: bytes, usage });
  const target = device.createBuffer({ size: bytes, usage });
  const groups = bytes / 16 / 256;
  const wide = Math.min(groups, 32768);
  const copy = await bestOf(device, COPY, [source, target], [wide, Math.ceil(groups / wide), 1]);
  const threads = Math.min(2 ** 12 * scale, bytes / 16);
  const fma = await bestOf(device, FMA, [source, target], [threads / 64, 1, 1]);
  source.destroy();
  target.destroy();
  return {
    copyGBs: (2 * bytes) / copy / 1e6,
    fmaGFLOPs: (threads * LOOPS * ACCUMULATORS * 4 * 2) / fma / 1e6,
  };
}

async function bestOf(
  device: GPUDevice,
  code: string,
  buffers: readonly GPUBuffer[],
  workgroups: readonly [number, number, number],
): Promise<number> {
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const count = 30;
  const querySet = device.createQuerySet({ type: "timestamp", count: 2 * count });
  const encoder = device.createCommandEncoder();
  for (let i = 0; i < count; i++) {
    const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
    const pass = encoder.beginComputePass({ timestampWrites });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...workgroups);
    pass.end();
  }
  const size = 16 * count;
  const resolved = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  const readable = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  encoder.resolveQuerySet(querySet, 0, 2 * count, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, readable, 0, size);
  device.queue.submit([encoder.finish()]);
  await readable.mapAsync(GPUMapMode.READ);
  const times = new BigUint64Array(readable.getMappedRange());
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) best = Math.min(best, Number(times[2 * i + 1]! - times[2 * i]!) / 1e6);
  for (const gone of [querySet, resolved, readable]) gone.destroy();
  return best;
}
