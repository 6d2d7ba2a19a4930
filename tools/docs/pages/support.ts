/** The table of ops × devices × dtypes, read off the op records themselves. */
import { readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { DTYPES, type DType } from "../../../packages/core/src/dtype.ts";
import type { Op } from "../../../packages/core/src/op.ts";
import { root } from "../../lib/workspace.ts";

export async function pages(): Promise<Record<string, string>> {
  const ops = await records();
  const rows = ops.map((op) => {
    const takes = supported(op);
    const dtypes = DTYPES.map((dtype) => (takes.includes(dtype) ? "yes" : ""));
    return `| ${[`\`${op.name}\``, ...dtypes, ...devices(op), gradient(op), nan(op)].join(" | ")} |`;
  });
  const head = ["op", ...DTYPES, "js", "wasm", "webgpu", "gradient", "NaN on webgpu"];
  return {
    "reference/support.md": `# Ops, devices and dtypes

Every op runs on every device with the same dtypes; f16 and bf16 are stored in 16 bits and computed in f32. The device
columns say how: **native** (an instruction or expression of the device), **composed** (of more basic ops, fused into
the same kernel), **own kernel** (written for the device) or **reference** (the composite that defines the op). The
**js** device evaluates the definition in float64. Methods that are not listed are composed of these ops.

| ${head.join(" | ")} |
| ${head.map(() => "---").join(" | ")} |
${rows.join("\n")}
`,
  };
}

async function records(): Promise<Op[]> {
  const found = new Map<string, Op>();
  for (const folder of ["ops", "kernels"].map((name) => path.join(root, "packages/core/src", name))) {
    for (const file of filesOf(folder)) {
      const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
      for (const value of Object.values(module)) if (isOp(value)) found.set(value.name, value);
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function filesOf(folder: string): string[] {
  try {
    const names = readdirSync(folder, { recursive: true }).map(String);
    return names.filter((name) => /(?<!\.test)\.ts$/.test(name)).map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}

function isOp(value: unknown): value is Op {
  return typeof value === "object" && value !== null && "kind" in value && "name" in value;
}

function supported(op: Op): readonly DType[] {
  if (op.kind !== "elementwise") return ("test" in op && op.test?.dtypes) || (op.kind === "kernel" ? ["f32"] : DTYPES);
  return DTYPES.filter((dtype) => {
    try {
      op.dtype(Array<DType>(op.arity).fill(dtype), { dtype });
      return true;
    } catch {
      return false;
    }
  });
}

function devices(op: Op): string[] {
  if (op.kind === "kernel") {
    const fallback = op.reference ? "reference" : "definition";
    return ["definition", op.wasm ? "own kernel" : fallback, op.webgpu ? "own kernel" : fallback];
  }
  if (op.kind !== "elementwise") return ["definition", "native", "native"];
  return ["definition", op.decompose ? "composed" : "native", "native"];
}

function gradient(op: Op): string {
  if (op.kind === "kernel") return op.vjp || op.reference ? "yes" : "";
  return "vjp" in op && op.vjp ? "yes" : "";
}

function nan(op: Op): string {
  if (op.kind !== "elementwise" && op.kind !== "kernel" && op.kind !== "reduce") return "kept";
  return op.test?.nanSafe === false ? "may be lost" : "kept";
}
