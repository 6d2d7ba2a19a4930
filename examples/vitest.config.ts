import { defineProject, mergeConfig } from "vitest/config";
import shared from "../vitest.shared.ts";

export default mergeConfig(
  shared,
  defineProject({ test: { name: "examples", testTimeout: 900_000, hookTimeout: 900_000 } }),
);
