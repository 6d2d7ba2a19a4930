import { defaultClientConditions, defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

/** Tests resolve every @vlm package to its TypeScript source: nothing has to be built first. */
export default defineConfig({
  resolve: { conditions: ["@vlm/source", ...defaultClientConditions] },
  ssr: { resolve: { conditions: ["@vlm/source", ...defaultServerConditions] } },
  test: { testTimeout: 60_000, hookTimeout: 60_000 },
});
