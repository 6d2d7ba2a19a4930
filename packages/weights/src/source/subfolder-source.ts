import { checkPath } from "../safetensors/safe-path.ts";
import type { ModelSource } from "./model-source.ts";

/** A folder inside a source, as a source. */
export function subfolderSource(source: ModelSource, subfolder: string): ModelSource {
  const prefix = `${checkPath(subfolder.replace(/\/$/, ""), source.name)}/`;
  return {
    name: `${source.name}/${prefix.slice(0, -1)}`,
    open: (path, signal) => source.open(prefix + path, signal),
    async list(signal) {
      const names = await source.list(signal);
      return names?.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
    },
  };
}
