import { defaultClientConditions, defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";
import { gpuEnvironment } from "./tools/testing/gpu.mjs";

/** Tests resolve every @vlm package to its TypeScript source: nothing has to be built first. */
export default defineConfig({
  resolve: { conditions: ["@vlm/source", ...defaultClientConditions] },
  ssr: { resolve: { conditions: ["@vlm/source", ...defaultServerConditions] } },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Dawn (npm `webgpu`) finds its software driver through these.
    env: gpuEnvironment(),
    // Forks: a native module that crashes takes one test file with it, and environment variables reach C code.
    pool: "forks",
  },
});
