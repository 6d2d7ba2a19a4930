/** Who takes part in Node, each imported when it is opened. */
import type { Contender } from "./contender.ts";

export const openers: Record<string, (threads: number) => Promise<Contender>> = {
  vlm: async (threads) => (await import("./vlm.ts")).openVlm(threads, "wasm", true),
  "vlm-plain": async (threads) => (await import("./vlm.ts")).openVlm(threads, "wasm", false),
  "onnxruntime-node": async (threads) => {
    const [runtime, { openOnnx }] = await Promise.all([import("onnxruntime-node"), import("./onnx.ts")]);
    return openOnnx(runtime as unknown as typeof import("onnxruntime-web"), "cpu", threads);
  },
  "onnxruntime-web": async () => {
    const [runtime, { openOnnx }] = await Promise.all([import("onnxruntime-web"), import("./onnx.ts")]);
    // In Node its worker script cannot be fetched: one thread is all there is.
    runtime.env.wasm.numThreads = 1;
    return { ...openOnnx(runtime, "wasm", 1), threads: 1 };
  },
  tfjs: async (threads) => {
    // The CommonJS builds: files of the others import without extensions, which Node does not resolve.
    const { createRequire } = await import("node:module");
    const { dirname } = await import("node:path");
    const require = createRequire(import.meta.url);
    const tf = require("@tensorflow/tfjs-core") as typeof import("@tensorflow/tfjs-core");
    const name = "@tensorflow/tfjs-backend-wasm";
    const { setWasmPaths, setThreadsCount } = require(name) as typeof import("@tensorflow/tfjs-backend-wasm");
    setWasmPaths(`${dirname(require.resolve(name))}/`);
    setThreadsCount(threads);
    return (await import("./tfjs.ts")).openTfjs(tf, "wasm", threads);
  },
  "jax-js": async (threads) => (await import("./jax.ts")).openJax("wasm", threads),
};
