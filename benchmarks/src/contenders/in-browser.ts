/** Who takes part in a page. Files of packages come from the page's own server, under /packages/. */
import type { Contender } from "./contender.ts";
import { openJax } from "./jax.ts";
import { openOnnx } from "./onnx.ts";
import { openTfjs } from "./tfjs.ts";
import { openVlm } from "./vlm.ts";

const ONNX = "/packages/onnxruntime-web/dist/";

async function onnx(build: string, provider: string, threads: number): Promise<Contender> {
  // As from a CDN: its worker is the file itself, which a bundler would mix with ours.
  const url = `${ONNX}${build}`;
  const runtime = (await import(/* @vite-ignore */ url)) as typeof import("onnxruntime-web");
  runtime.env.wasm.numThreads = threads;
  return openOnnx(runtime, provider, threads);
}

/** As from a CDN: its threads start from its own text, which a bundler would rename. */
async function tfjs(backend: "wasm" | "webgpu", threads: number): Promise<Contender> {
  for (const name of ["core", `backend-${backend}`]) {
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { onload: resolve, onerror: reject });
      script.src = `/packages/@tensorflow/tfjs-${name}/dist/tf-${name}.min.js`;
      document.head.append(script);
    });
  }
  type Core = typeof import("@tensorflow/tfjs-core");
  const { tf } = globalThis as unknown as { tf: Core & { wasm?: typeof import("@tensorflow/tfjs-backend-wasm") } };
  tf.wasm?.setWasmPaths("/packages/@tensorflow/tfjs-backend-wasm/dist/");
  tf.wasm?.setThreadsCount(threads);
  return openTfjs(tf, backend, threads);
}

export const openers: Record<string, (threads: number) => Promise<Contender>> = {
  "vlm-wasm": (threads) => openVlm(threads, "wasm", true),
  "vlm-webgpu": (threads) => openVlm(threads, "webgpu", false),
  "onnx-wasm": (threads) => onnx("ort.wasm.min.mjs", "wasm", threads),
  "onnx-webgpu": () => onnx("ort.webgpu.min.mjs", "webgpu", 1),
  "tfjs-wasm": (threads) => tfjs("wasm", threads),
  "tfjs-webgpu": () => tfjs("webgpu", 1),
  "jax-wasm": (threads) => openJax("wasm", threads),
  "jax-webgpu": () => openJax("webgpu", 1),
};
