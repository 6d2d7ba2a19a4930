import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defaultClientConditions, defineConfig, type Plugin } from "vite";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Draws the emoji once, before Vite looks into `public`. */
function emojiFiles(): Plugin {
  return {
    name: "emoji-files",
    config() {
      if (existsSync(here("public/emoji.json"))) return;
      const flags = ["--conditions=@vlm/source", "--import", "tsx", here("make-emoji.ts")];
      execFileSync(process.execPath, flags, { stdio: "inherit" });
    },
  };
}

const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  base: "./",
  // The packages' source, so that nothing has to be built first; leave it out in a project of your own.
  resolve: { conditions: ["@vlm/source", ...defaultClientConditions] },
  plugins: [emojiFiles()],
  worker: { format: "es" },
  build: { target: "esnext", modulePreload: { polyfill: false } },
  server: { headers },
  preview: { headers },
});
