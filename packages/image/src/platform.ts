/**
 * What differs between Node and browsers. Node's modules are asked of the process at run time and `sharp` is imported
 * by a name that bundlers do not follow, so that a browser bundle holds no trace of either.
 */

type BuiltinModules = {
  "node:crypto": typeof import("node:crypto");
  "node:fs/promises": typeof import("node:fs/promises");
  "node:module": typeof import("node:module");
  "node:os": typeof import("node:os");
  "node:path": typeof import("node:path");
  "node:url": typeof import("node:url");
  "node:worker_threads": typeof import("node:worker_threads");
  "node:zlib": typeof import("node:zlib");
};

type NodeProcess = { getBuiltinModule?: (name: string) => unknown; versions?: { node?: string } };

/** A module of Node, or undefined where there is none (browsers). */
export function builtin<Name extends keyof BuiltinModules>(name: Name): BuiltinModules[Name] | undefined {
  const { process } = globalThis as { process?: NodeProcess };
  return process?.getBuiltinModule?.(name) as BuiltinModules[Name] | undefined;
}

type Sharp = typeof import("sharp")["default"];

let sharpModule: Promise<Sharp | undefined> | undefined;

/** The optional peer `sharp`, or undefined when it is not installed. */
export function loadSharp(): Promise<Sharp | undefined> {
  const specifier = "sharp";
  sharpModule ??= import(/* @vite-ignore */ /* webpackIgnore: true */ specifier).then(
    (module: { default: Sharp }) => module.default,
    () => undefined,
  );
  return sharpModule;
}
