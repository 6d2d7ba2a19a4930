/** The global WebGPU types where a program has them; published declarations must not depend on any package of types. */
type GlobalInstance<Name extends string, Fallback> = typeof globalThis extends {
  [K in Name]: { prototype: infer T };
}
  ? T
  : Fallback;

/** A `GPUDevice`, typed where the program's own types have it. */
export type GpuDevice = GlobalInstance<"GPUDevice", unknown>;
