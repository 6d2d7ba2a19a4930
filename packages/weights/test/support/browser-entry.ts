import { openCheckpoints } from "../../src/checkpoint/checkpoint-folder.ts";
import { readLatestCheckpoint } from "../../src/checkpoint/read-checkpoint.ts";
import { readJson } from "../../src/json/read-json.ts";
import { openWeights } from "../../src/safetensors/open-weights.ts";
import { saveTensors } from "../../src/safetensors/save-tensors.ts";
import { openSource } from "../../src/source/open-source.ts";

/** The first numbers of a tensor, through the browser's cache unless told otherwise. */
export async function firstNumbers(url: string, options: object = {}): Promise<number[] | string> {
  try {
    const store = await openWeights(url, { retryDelay: 1, ...options });
    const [bytes] = await store.read(["a"]);
    await store.close();
    return [...new Float32Array(bytes!.buffer).slice(0, 2)];
  } catch (error) {
    return `${(error as Error).name} ${(error as { code?: string }).code}`;
  }
}

export async function config(url: string): Promise<object> {
  return readJson(await openSource(url), "config.json");
}

/** Takes the first piece of every kept file away, as a browser does that needs the space. */
export async function evict(): Promise<number> {
  let removed = 0;
  const walk = async (directory: FileSystemDirectoryHandle): Promise<void> => {
    for await (const [name, handle] of directory.entries()) {
      if (handle.kind !== "directory") continue;
      const inner = handle as FileSystemDirectoryHandle;
      if (!name.endsWith(".pieces")) await walk(inner);
      else {
        await inner.removeEntry("0");
        removed++;
      }
    }
  };
  await walk(await navigator.storage.getDirectory());
  return removed;
}

const tensor = (value: number) => ({
  shape: [1000],
  dtype: "f32" as const,
  data: () => new Float32Array(1000).fill(value),
});

/** Writes checkpoints to the origin private file system, spoils the newest, and gives what is found. */
export async function checkpoints(): Promise<unknown> {
  const folder = await openCheckpoints("runs/test", { keep: 2 });
  const locked = await openCheckpoints("runs/test").catch((error) => error.code);
  for (const step of [1, 2, 3])
    await folder.write(step, { "model.safetensors": [["w", tensor(step)]], "state.json": { step } });
  await folder.close();
  const latest = await readLatestCheckpoint("runs/test");
  const root = await navigator.storage.getDirectory();
  const runs = await (await root.getDirectoryHandle("runs")).getDirectoryHandle("test");
  const names: string[] = [];
  for await (const name of runs.keys()) names.push(name);
  const newest = await runs.getDirectoryHandle("step-00000003");
  const stream = await (await newest.getFileHandle("model.safetensors")).createWritable({ keepExistingData: true });
  await stream.write({ type: "write", position: 500, data: new Uint8Array([1]) });
  await stream.close();
  const after = await readLatestCheckpoint("runs/test", { onWarning: () => {} });
  return {
    locked,
    latest: latest?.step,
    names: names.sort(),
    after: after?.step,
    state: await after?.json("state.json"),
  };
}

/** Saves to the origin private file system and loads from there, and from a blob. */
export async function saved(): Promise<unknown> {
  await saveTensors("models/one", [["a", tensor(5)]]);
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle("models");
  const directory = await models.getDirectoryHandle("one");
  const store = await openWeights(directory);
  const [bytes] = await store.read(["a"]);
  const blob = await (await directory.getFileHandle("model.safetensors")).getFile();
  const names = [...(await openWeights(blob)).tensors.keys()];
  return [new Float32Array(bytes!.buffer)[0], names];
}
