import { defineConfig } from "vitest/config";

/** Every folder of packages/ that has a vitest.config.ts is a project of its own, named like the folder. */
export default defineConfig({ test: { projects: ["packages/*", "tools"], maxWorkers: 2 } });
