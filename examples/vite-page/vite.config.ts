import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  // Threads of the WebAssembly device need a cross-origin isolated page; without these headers it uses one.
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
  },
});
