import { defineConfig } from "vitest/config";
import { testProjects } from "./tools/lib/workspace.ts";

/** Every folder with a vitest.config.ts is a project of its own, named like the folder. */
export default defineConfig({ test: { projects: testProjects(), maxWorkers: 2 } });
