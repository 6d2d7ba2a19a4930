/** A device that takes every call and does nothing: what is left is this library's own work. */
export function idleDevice(made = { groups: 0, submits: 0, encoders: 0 }): GPUDevice {
  const nothing = (): void => {};
  const buffer = () => ({ destroy: nothing, mapAsync: async () => {}, unmap: nothing });
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const limits = {
    maxBufferSize: 2 ** 30,
    maxStorageBufferBindingSize: 2 ** 27,
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupsPerDimension: 65535,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    minUniformBufferOffsetAlignment: 256,
  };
  return {
    limits,
    features: new Set(),
    lost: new Promise(nothing),
    createBuffer: buffer,
    createBindGroup: () => ({ id: ++made.groups }),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createShaderModule: () => ({}),
    createComputePipelineAsync: async () => ({}),
    createCommandEncoder: () => {
      made.encoders++;
      return { beginComputePass: () => pass, finish: nothing };
    },
    queue: { submit: () => made.submits++, writeBuffer: nothing, onSubmittedWorkDone: async () => {} },
    pushErrorScope: nothing,
    popErrorScope: async () => null,
  } as unknown as GPUDevice;
}
