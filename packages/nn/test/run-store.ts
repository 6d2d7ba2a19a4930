import { type Tensor, tensor } from "@vlm/core";
import type { CheckpointStore, Module, RunState } from "@vlm/nn";

/** A store in memory that keeps copies of everything that is saved. */
export function memoryStore(): CheckpointStore & { saves: { step: number; state: RunState }[] } {
  const saves: { step: number; state: RunState }[] = [];
  return {
    saves,
    async latest() {
      const last = saves.at(-1);
      return last && { step: last.step, ...last.state };
    },
    async save(step, { tensors, json }) {
      const copies = new Map<string, Tensor>();
      for (const [name, x] of tensors) copies.set(name, tensor(await x.data(), { shape: x.shape, dtype: x.dtype }));
      saves.push({ step, state: { tensors: copies, json: JSON.parse(JSON.stringify(json)) } });
    },
  };
}

/** Parameters and buffers by path. */
export async function values(model: Module): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const [path, x] of model.stateDict()) found[path] = [...(await x.data())];
  return found;
}

/** What a checkpoint holds, as numbers. */
export async function numbersOf(state: RunState): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const [name, x] of state.tensors) found[name] = [...(await x.data())];
  return found;
}
