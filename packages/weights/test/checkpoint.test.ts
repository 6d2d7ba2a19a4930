import { chmod, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { fromHost, useDevice } from "@vlm/core";
import { describe, expect, it } from "vitest";
import { openCheckpoints } from "../src/checkpoint/checkpoint-folder.ts";
import { checkpoints } from "../src/checkpoint/checkpoints.ts";
import { readCheckpoint, readLatestCheckpoint } from "../src/checkpoint/read-checkpoint.ts";
import { memoryFolder } from "../src/store/memory-folder.ts";
import { nodeFolder } from "../src/store/node-folder.ts";
import type { OutputFolder } from "../src/store/output-folder.ts";
import { storageError } from "../src/store/storage-error.ts";
import { failure } from "./support/errors.ts";
import { f32 } from "./support/model.ts";
import { temporaryFolder } from "./support/temporary.ts";

const files = (step: number) => ({
  "model.safetensors": [["w", f32([1000], step)]] as const,
  "state.json": { step },
});
const quiet = { onWarning: () => {} };

/** The value of the newest checkpoint's tensor. */
async function restored(
  folder: string | OutputFolder,
  onWarning: (message: string) => void = () => {},
): Promise<number | undefined> {
  const latest = await readLatestCheckpoint(folder, { onWarning });
  if (!latest) return undefined;
  const store = await latest.tensors("model.safetensors");
  const [bytes] = await store.read(["w"]);
  await store.close();
  expect(await latest.json("state.json")).toEqual({ step: latest.step });
  expect(new Float32Array(bytes!.buffer)[0]).toBe(latest.step);
  return latest.step;
}

async function written(steps: number[], keep = 3): Promise<string> {
  const folder = await temporaryFolder();
  const run = await openCheckpoints(folder, { keep });
  for (const step of steps) await run.write(step, files(step));
  await run.close();
  return folder;
}

describe("checkpoints", () => {
  it("are written, found and read, on disk and in memory", async () => {
    const folder = await written([100, 200]);
    expect(await restored(folder)).toBe(200);
    expect((await readdir(folder)).sort()).toEqual(["latest", "step-00000100", "step-00000200"]);
    expect(await readFile(path.join(folder, "latest"), "utf8")).toBe("step-00000200\n");
    const memory = memoryFolder();
    const run = await openCheckpoints(memory);
    expect(await run.latest()).toBeUndefined();
    await run.write(1, files(1));
    expect(await restored(memory)).toBe(1);
  });

  it("keep the newest, and the one just written when a run began again further back", async () => {
    const folder = await written([1, 2, 3, 4], 2);
    expect((await readdir(folder)).filter((name) => name.startsWith("step"))).toEqual([
      "step-00000003",
      "step-00000004",
    ]);
    const run = await openCheckpoints(folder, { keep: 2 });
    await run.write(2, files(2));
    expect((await readdir(folder)).filter((name) => name.startsWith("step"))).toEqual([
      "step-00000002",
      "step-00000004",
    ]);
    await run.close();
  });

  it("of one step can be written again", async () => {
    const folder = await written([5, 5]);
    expect(await restored(folder)).toBe(5);
    expect((await readdir(folder)).sort()).toEqual(["latest", "step-00000005"]);
  });

  it("refuse wrong arguments", async () => {
    const run = await openCheckpoints(memoryFolder());
    for (const step of [-1, 1.5, Number.NaN]) await failure(() => run.write(step, {}), "ArgumentError", "CK_STEP");
    for (const name of ["../x.json", "manifest.json", "", ".hidden"]) {
      await failure(() => run.write(1, { [name]: {} }), "ArgumentError", "CK_FILE");
    }
    await failure(() => openCheckpoints(memoryFolder(), { keep: 0 }), "ArgumentError", "CK_KEEP");
  });

  it("R7: leftovers of a killed run are neither used nor kept", async () => {
    const folder = await written([7]);
    await mkdir(path.join(folder, "step-00000008.0badf00d.tmp"));
    await writeFile(path.join(folder, "step-00000008.0badf00d.tmp", "model.safetensors"), "half");
    await writeFile(path.join(folder, "latest.12345678.tmp"), "");
    expect(await restored(folder)).toBe(7);
    const run = await openCheckpoints(folder);
    expect((await readdir(folder)).sort()).toEqual([".lock", "latest", "step-00000007"]);
    await run.close();
  });

  it("R7: one that was moved away for another of its step comes back when that never came", async () => {
    const folder = await written([7]);
    const { rename } = await import("node:fs/promises");
    await rename(path.join(folder, "step-00000007"), path.join(folder, "step-00000007.0badf00d.tmp.old"));
    const run = await openCheckpoints(folder);
    expect(await restored(folder)).toBe(7);
    await run.close();
  });

  it("R8: a full disk is said before the work and leaves what was there", async () => {
    const folder = await written([1]);
    const real = await nodeFolder(folder);
    const run = await openCheckpoints({ ...real, free: async () => 1000 });
    const error = await failure(
      () => run.write(2, files(2)),
      "StorageError",
      "ENOSPC",
      /needs 4\d{3} bytes, 1000 are free/,
    );
    expect(error.recoverable).toBe(true);
    expect(await restored(folder)).toBe(1);
    await run.close();
  });

  it.each(["ENOSPC", "QuotaExceededError", "EIO"])(
    "R8: %s in the middle of a write leaves what was there, and the next write works",
    async (code) => {
      const folder = await written([1]);
      const real = await nodeFolder(folder);
      let broken = true;
      const faulty: OutputFolder = {
        ...real,
        write: (name, content) =>
          real.write(name, async function* () {
            for await (const chunk of content()) {
              yield chunk.subarray(0, 100);
              if (broken && name.includes("model"))
                throw storageError(
                  Object.assign(new Error("fault"), code === "QuotaExceededError" ? { name: code } : { code }),
                  "write",
                  name,
                );
              yield chunk.subarray(100);
            }
          }),
      };
      const run = await openCheckpoints(faulty);
      await failure(() => run.write(2, files(2)), "StorageError", code);
      expect((await readdir(folder)).sort()).toEqual([".lock", "latest", "step-00000001"]);
      expect(await restored(folder)).toBe(1);
      broken = false;
      await run.write(2, files(2));
      expect(await restored(folder)).toBe(2);
      await run.close();
    },
  );

  it("R9: an error that passes is tried again, a bounded number of times", async () => {
    const folder = await nodeFolder(await temporaryFolder());
    let faults = 2;
    const content = () => {
      if (faults-- > 0) throw Object.assign(new Error("i/o"), { code: "EIO" });
      return [new Uint8Array(3)];
    };
    await folder.write("a", content);
    const file = await folder.open("a");
    expect(file.size).toBe(3);
    await file.close?.();
    faults = 3;
    await failure(() => folder.write("a", content), "StorageError", "EIO", "the disk reported an error");
    expect(await folder.list("")).toEqual(["a"]);
  });

  it("R10: a place that cannot be written to is refused before the first step", async () => {
    const folder = await temporaryFolder();
    await writeFile(path.join(folder, "file"), "");
    await failure(() => openCheckpoints(path.join(folder, "file")), "StorageError", /EEXIST|ENOTDIR/);
    await failure(() => openCheckpoints(path.join(folder, "file", "below")), "StorageError", "ENOTDIR");
    await failure(
      () => openCheckpoints(path.join(folder, "x".repeat(300))),
      "StorageError",
      "ENAMETOOLONG",
      "too long",
    );
    const readOnly: OutputFolder = {
      ...memoryFolder(),
      write: async (name) => {
        throw storageError(Object.assign(new Error("ro"), { code: "EROFS" }), "write", name);
      },
    };
    await failure(() => openCheckpoints(readOnly), "StorageError", "EROFS", "read-only");
    // The lock of a folder that was refused is given back.
    await failure(() => openCheckpoints(readOnly), "StorageError", "EROFS");
    if (process.getuid?.() !== 0) {
      await mkdir(path.join(folder, "closed"));
      await chmod(path.join(folder, "closed"), 0o500);
      await failure(() => openCheckpoints(path.join(folder, "closed")), "StorageError", "EACCES");
    }
  });

  const damage: [string, (step: string) => Promise<unknown>, string][] = [
    ["a flipped bit", (step) => flip(path.join(step, "model.safetensors"), 2000), "CK_HASH"],
    ["a flipped bit in the state", (step) => flip(path.join(step, "state.json"), 3), "CK_HASH"],
    ["a truncated file", (step) => truncate(path.join(step, "model.safetensors"), 100), "CK_SIZE"],
    ["a missing file", (step) => rm(path.join(step, "state.json")), "CK_MISSING"],
    ["no manifest", (step) => rm(path.join(step, "manifest.json")), "CK_MANIFEST"],
    ["half a manifest", (step) => truncate(path.join(step, "manifest.json"), 50), "CK_MANIFEST"],
    ["a manifest of something else", (step) => writeFile(path.join(step, "manifest.json"), "[]"), "CK_MANIFEST"],
    ["a path in the manifest", (step) => edit(step, (text) => text.replace("state.json", "../x")), "CK_MANIFEST"],
    [
      "another step in the manifest",
      (step) => edit(step, (text) => text.replace('"step": 200', '"step": 100')),
      "CK_MANIFEST",
    ],
    ["a newer format", (step) => edit(step, (text) => text.replace('"format": 1', '"format": 2')), "CK_VERSION"],
  ];

  it.each(damage)("R11, R13: with %s are passed over, and it is said", async (_, spoil, code) => {
    const folder = await written([100, 200]);
    await spoil(path.join(folder, "step-00000200"));
    const warnings: string[] = [];
    expect(await restored(folder, (message) => warnings.push(message))).toBe(100);
    expect(warnings.join()).toMatch(/^step-00000200 is damaged \(.*\); step-00000100 is used instead$/);
    expect(warnings.join()).toContain(code);
    await failure(() => readCheckpoint(folder, "step-00000200"), "CheckpointError", code);
    await spoil(path.join(folder, "step-00000100"));
    // Steps 100 and 200 are damaged alike, except where the damage names the step.
    if (code === "CK_MANIFEST" && warnings.join().includes("describe")) return;
    const error = await failure(
      () => readLatestCheckpoint(folder, quiet),
      "CheckpointError",
      "CK_NONE_VALID",
      "none of 2 checkpoints is whole",
    );
    expect(error.hint).toContain("backup");
  });

  it("R12: with files of two steps are refused", async () => {
    const folder = await written([100, 200]);
    const other = await readFile(path.join(folder, "step-00000100", "model.safetensors"));
    await writeFile(path.join(folder, "step-00000200", "model.safetensors"), other);
    await failure(
      () => readCheckpoint(folder, "step-00000200"),
      "CheckpointError",
      "CK_HASH",
      "model.safetensors is not what was written",
    );
  });

  it("R16: stop when the signal says so, and leave nothing behind", async () => {
    const folder = await written([1]);
    const run = await openCheckpoints(folder);
    const reason = new Error("enough");
    const controller = new AbortController();
    const aborting = {
      shape: [4],
      dtype: "f32" as const,
      data: () => {
        controller.abort(reason);
        return new Float32Array(4);
      },
    };
    await expect(run.write(2, { "model.safetensors": [["w", aborting]] }, controller.signal)).rejects.toBe(reason);
    await expect(run.write(2, files(2), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect((await readdir(folder)).sort()).toEqual([".lock", "latest", "step-00000001"]);
    await run.close();
  });

  it("R20: have one writer at a time, in one process and in two", async () => {
    const folder = await temporaryFolder();
    const first = await openCheckpoints(folder);
    const error = await failure(
      () => openCheckpoints(folder),
      "ConcurrencyError",
      "CK_LOCKED",
      `process ${process.pid} on`,
    );
    expect(error.details.pid).toBe(process.pid);
    await first.close();
    await (await openCheckpoints(folder)).close();
    // A lock of a process that is gone, or of one that cannot be told, is taken over; a fresh one of another host is not.
    const { hostname } = await import("node:os");
    const lock = (owner: object) =>
      writeFile(path.join(folder, ".lock"), JSON.stringify({ id: "x", since: "", ...owner }));
    await lock({ pid: 2 ** 22 - 3, host: hostname() });
    await (await openCheckpoints(folder)).close();
    await lock({ pid: 1, host: "another-machine" });
    await failure(() => openCheckpoints(folder), "ConcurrencyError", "CK_LOCKED", "process 1 on another-machine");
  });

  it("are passed over when the disk cannot read them", async () => {
    const real = memoryFolder();
    const run = await openCheckpoints(real);
    for (const step of [1, 2]) await run.write(step, files(step));
    const faulty = (bad: string): OutputFolder => ({
      ...real,
      open: (name) =>
        name.includes(bad)
          ? Promise.reject(storageError(Object.assign(new Error(), { code: "EIO" }), "read", name))
          : real.open(name),
    });
    expect(await restored(faulty("step-00000002/model"))).toBe(1);
    expect(await restored(faulty("step-00000002/manifest"))).toBe(1);
  });

  it("let an error of the tensors through as it is", async () => {
    const run = await openCheckpoints(memoryFolder());
    const error = new TypeError("not a fault of the disk");
    const broken = { shape: [1], dtype: "f32" as const, data: () => Promise.reject(error) };
    await expect(run.write(1, { "model.safetensors": [["w", broken]] })).rejects.toBe(error);
  });

  it("of a run come back bit for bit", async () => {
    await useDevice("js");
    const folder = await temporaryFolder();
    const bits = Uint32Array.of(0, 0x80000000, 1, 0x7f800000, 0x3f800001, 2 ** 32 - 1);
    const tensors = new Map([
      ["key", fromHost(bits, [2, 3], "u32")],
      ["moment", fromHost(Float32Array.of(1e-45, -0, 0.1, 3.4e38), [4], "f32")],
      ["half", fromHost(Float32Array.of(0.333251953125, 65504), [2], "f16")],
      ["brain", fromHost(Float32Array.of(1.0078125, -3), [2], "bf16")],
      ["mask", fromHost(Uint8Array.of(1, 0), [2], "bool")],
      ["step", fromHost(Int32Array.of(-7), [], "i32")],
    ]);
    const run = checkpoints(folder);
    expect(await run.latest()).toBeUndefined();
    const json = { position: [1, { epoch: 2 }], lr: 0.1 + 0.2, none: null };
    await run.save(5, { tensors, json });
    await failure(() => checkpoints(folder).latest(), "ConcurrencyError", "CK_LOCKED");
    await run.close();
    const again = checkpoints(folder);
    const latest = (await again.latest())!;
    expect([latest.step, latest.json]).toEqual([5, json]);
    expect([...latest.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, tensor] of tensors) {
      const got = latest.tensors.get(name)!;
      expect([name, got.dtype, got.shape]).toEqual([name, tensor.dtype, tensor.shape]);
      expect(new Uint8Array((await got.data()).buffer)).toEqual(new Uint8Array((await tensor.data()).buffer));
    }
    await failure(
      () => again.save(6, { tensors, json: { best: Number.POSITIVE_INFINITY } }),
      "ArgumentError",
      "CK_JSON",
      "best is Infinity",
    );
    await again.close();
    await again.close();
  });

  it("survive a fault at every single call of the file system", async () => {
    for (const persistent of [false, true]) {
      for (let k = 1; ; k++) {
        const real = memoryFolder();
        const run = await openCheckpoints(real, { keep: 2 });
        await run.write(1, files(1));
        await run.write(2, files(2));
        await run.close();
        let calls = 0;
        const faulty = faultAt(real, () => {
          calls++;
          return persistent ? calls >= k : calls === k;
        });
        const error = await attempt(faulty);
        if (calls < k) {
          expect(error).toBeUndefined();
          expect(k).toBeGreaterThan(10);
          break;
        }
        if (error) expect([k, (error as Error).name]).toEqual([k, "StorageError"]);
        expect([k, await restored(real)]).toEqual([
          k,
          error ? expect.toSatisfy((step) => step === 2 || step === 3) : 3,
        ]);
        // The next write works, whatever the fault left behind.
        const again = await openCheckpoints({ ...real, lock: async () => ({ release: async () => {} }) }, { keep: 2 });
        await again.write(4, files(4));
        expect(await restored(real)).toBe(4);
      }
    }
  });
});

async function attempt(folder: OutputFolder): Promise<unknown> {
  try {
    const run = await openCheckpoints(folder, { keep: 2 });
    await run.write(3, files(3));
    return undefined;
  } catch (error) {
    return error;
  }
}

/** A folder whose calls fail when `fails` says so. */
function faultAt(folder: OutputFolder, fails: () => boolean): OutputFolder {
  const guarded = Object.entries(folder).map(([name, call]) => {
    if (typeof call !== "function") return [name, call];
    return [
      name,
      async (...args: unknown[]) => {
        if (fails()) throw storageError(Object.assign(new Error("fault"), { code: "EIO" }), name, String(args[0]));
        return (call as (...args: unknown[]) => unknown)(...args);
      },
    ];
  });
  return Object.fromEntries(guarded) as OutputFolder;
}

async function flip(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at]! ^= 4;
  await writeFile(file, bytes);
}

async function edit(step: string, change: (text: string) => string): Promise<void> {
  const file = path.join(step, "manifest.json");
  await writeFile(file, change(await readFile(file, "utf8")));
}
