import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { cacheFolder } from "./workspace.ts";

const fileOf = (kind: string, name: string) => path.join(cacheFolder, kind, `${name}.json`);

/** How many passed when `name` last ran with this key, or undefined. */
export function recall(kind: string, name: string, key: string): number | undefined {
  if (!existsSync(fileOf(kind, name))) return undefined;
  const known = JSON.parse(readFileSync(fileOf(kind, name), "utf8")) as { key: string; passed: number };
  return known.key === key ? known.passed : undefined;
}

export function remember(kind: string, name: string, key: string, passed: number): void {
  mkdirSync(path.join(cacheFolder, kind), { recursive: true });
  writeFileSync(fileOf(kind, name), JSON.stringify({ key, passed }));
}
