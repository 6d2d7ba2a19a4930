/** What survives the loss of a device: tensors with host copies, checkpoints, and the steps that were done. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Cell, compile, grad, openDevice, type Tensor, tensor, useDevice } from "@vlm/core";
import { afterAll, describe, expect, it, vi } from "vitest";
import { findAdapter } from "../../src/backends/webgpu/adapter.ts";
import { createWebGpuBackend } from "../../src/backends/webgpu/index.ts";
import type { Device } from "../../src/runtime/device.ts";
import { schedulingDevice } from "../../src/runtime/scheduling-device.ts";
import { type Fault, type FaultyDevice, faultyDevice } from "./faulty-device.ts";

afterAll(async () => {
  await useDevice("js");
});

type Opened = { faulty: FaultyDevice; device: Device };

async function open(fault: Fault = "throws", at = 0): Promise<Opened> {
  const faulty = await faultyDevice(fault, at);
  const device = schedulingDevice(await createWebGpuBackend({ device: faulty.device, software: true, tune: false }));
  await useDevice(device);
  return { faulty, device };
}

const lost = expect.objectContaining({ name: "DeviceLostError", recoverable: true });

/** A regression with momentum: three cells that change together. */
class Run {
  readonly cells: Cell[];
  private readonly step: (x: Tensor) => Promise<Tensor>;

  constructor(start: readonly (readonly number[])[]) {
    this.cells = start.map((values) => new Cell(tensor([...values])));
    const [w, momentum, count] = this.cells as [Cell, Cell, Cell];
    this.step = compile((x: Tensor) => {
      const loss = w.value.mul(x).sin().sub(x).square().mean();
      const [dw] = grad(loss, [w.value]);
      const next = momentum.value.mul(0.9).add(dw!);
      momentum.assign(next);
      w.assign(w.value.sub(next.mul(0.1)));
      count.assign(count.value.add(1));
      return loss;
    });
  }

  async advance(n: number): Promise<number> {
    return (await this.step(tensor([n % 3, 0.3, -0.7, 1.1]))).item();
  }

  /** Host copies of all cells: a checkpoint. */
  save(): Promise<number[][]> {
    return Promise.all(this.cells.map(async (cell) => [...(await cell.value.data())]));
  }
}

const START = [[0.5, -0.25, 0.75, 0.1], [0, 0, 0, 0], [0]];
const STEPS = 4;

/** Trains with a checkpoint after every step; a lost device is replaced and the last checkpoint restored. */
async function train(next: (losses: number) => Promise<Opened>, most = 3) {
  let saved = START;
  let opened = await next(0);
  const all = [opened];
  for (let lostDevices = 0; ; ) {
    try {
      const run = new Run(saved);
      while (saved[2]![0]! < STEPS) {
        await run.advance(saved[2]![0]!);
        saved = await run.save();
      }
      return { saved, lostDevices, all };
    } catch (error) {
      expect(error).toEqual(lost);
      if (++lostDevices > most) throw error;
      opened = await next(lostDevices);
      all.push(opened);
    }
  }
}

describe("a loss during training", () => {
  it("at any call: no step is half done, and what follows is what would have been, bit for bit", async () => {
    const whole = await train(() => open());
    expect(whole.saved[2]).toEqual([STEPS]);
    let k = 1;
    for (let happened = true; happened; k += 3) {
      const { saved, lostDevices, all } = await train((losses) => (losses === 0 ? open("lost", k) : open()));
      expect(saved).toEqual(whole.saved);
      happened = all[0]!.faulty.happened();
      expect(lostDevices).toBe(happened ? 1 : 0);
      for (const { device } of all) await device.dispose();
    }
    expect(k).toBeGreaterThan(30);
  }, 240_000);

  it("again while it recovers, three times: each is told, and the fourth device finishes", async () => {
    const whole = await train(() => open());
    const { saved, lostDevices } = await train((losses) => (losses < 3 ? open("lost", 5 + 4 * losses) : open()));
    expect(lostDevices).toBe(3);
    expect(saved).toEqual(whole.saved);
    await expect(train(() => open("lost", 9), 2)).rejects.toEqual(lost);
  });
});

describe("after a loss", () => {
  it("tensors with host copies go to the next device; computed ones say why they are gone", async () => {
    const first = await open();
    const host = tensor([1, 2, 3]);
    const computed = host.mul(2);
    expect([...(await computed.data())]).toEqual([2, 4, 6]);
    first.faulty.lose();
    await expect(host.add(1).data()).rejects.toEqual(lost);
    await expect(computed.data()).rejects.toEqual(lost);
    const second = await open();
    expect([...(await host.add(1).data())]).toEqual([2, 3, 4]);
    await expect(computed.add(1).data()).rejects.toEqual(lost);
    await expect(computed.add(host).data()).rejects.toEqual(lost);
    await second.device.dispose();
  });

  it("what is pending rejects within a second, and later calls at once", async () => {
    const { faulty } = await open();
    const x = tensor(new Float32Array(256 * 256), { shape: [256, 256] });
    const pending = [x.matmul(x).sum().item(), x.add(1).data()];
    await new Promise((resolve) => setTimeout(resolve, 5));
    const started = performance.now();
    faulty.lose();
    for (const { status } of await Promise.allSettled(pending)) expect(["rejected", "fulfilled"]).toContain(status);
    expect(performance.now() - started).toBeLessThan(1000);
    const then = performance.now();
    await expect(x.mul(3).data()).rejects.toEqual(lost);
    expect(performance.now() - then).toBeLessThan(1000);
  });

  it("the old device's news does not touch the new one", async () => {
    const first = await open();
    const second = await open();
    first.faulty.lose();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(first.device.lost).toEqual(lost);
    expect(second.device.lost).toBeNull();
    expect([...(await tensor([4]).sqrt().data())]).toEqual([2]);
    await second.device.dispose();
  });

  it("by the application's own destroy: no accident, and a new one can be used", async () => {
    const first = await open();
    first.faulty.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const gone = expect.objectContaining({ name: "DisposedError", code: "WEBGPU_DESTROYED", recoverable: false });
    await expect(tensor([4]).sqrt().data()).rejects.toEqual(gone);
    await useDevice(first.faulty.device as never);
    await expect(tensor([4]).sqrt().data()).rejects.toEqual(gone);
    await open();
    expect([...(await tensor([4]).sqrt().data())]).toEqual([2]);
  });

  it("openDevice opens another one", async () => {
    const first = await openDevice("webgpu");
    expect(await openDevice("webgpu")).toBe(first);
    await first.dispose();
    const second = await openDevice("webgpu");
    expect(second).not.toBe(first);
    await useDevice(second);
    expect([...(await tensor([9]).sqrt().data())]).toEqual([3]);
    await second.dispose();
  });
});

describe("a GPU that is lost again and again", () => {
  it("is opened three times in ten minutes, then the history is told", async () => {
    const all = [await faultyDevice("lost", 0), await faultyDevice("lost", 0), await faultyDevice("lost", 0)];
    const last = await faultyDevice("lost", 0);
    const next = [...all, last];
    const adapter = await findAdapter();
    const requestDevice = async (): Promise<GPUDevice> => next.shift()!.device;
    const { info, limits, features } = adapter;
    const gpu = { requestAdapter: async () => ({ info, limits, features, requestDevice }) };
    vi.stubGlobal("navigator", { gpu });
    try {
      for (const faulty of all) {
        const device = await openDevice("webgpu");
        faulty.lose();
        await new Promise((resolve) => setTimeout(resolve, 5));
        expect(device.lost).toEqual(lost);
      }
      const refused = {
        name: "BackendUnavailableError",
        code: "WEBGPU_LOST_AGAIN",
        details: { history: Array(3).fill({ at: expect.any(Number), message: expect.stringContaining("injected") }) },
      };
      for (let i = 0; i < 3; i++) await expect(openDevice("webgpu")).rejects.toMatchObject(refused);
      expect(next).toEqual([last]);
      const later = Date.now() + 10 * 60_000;
      vi.spyOn(Date, "now").mockReturnValue(later);
      await (await openDevice("webgpu")).dispose();
      expect(next).toEqual([]);
    } finally {
      vi.restoreAllMocks();
      vi.unstubAllGlobals();
    }
  });

  it("may be replaced by wasm, for what has host copies, with a warning", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const { device, faulty } = await open();
    await useDevice(device, { onLost: "wasm" });
    const host = tensor([1, 2, 3]);
    const computed = host.mul(2);
    const squares = compile((x: Tensor) => x.square());
    expect([...(await computed.data())]).toEqual([2, 4, 6]);
    expect([...(await (await squares(host)).data())]).toEqual([1, 4, 9]);
    faulty.lose();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([...(await host.add(1).data())]).toEqual([2, 3, 4]);
    expect([...(await (await squares(host)).data())]).toEqual([1, 4, 9]);
    await expect(computed.add(1).data()).rejects.toEqual(lost);
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/wasm goes on for webgpu: .*lost/)]]);
    const instead = await useDevice();
    expect(instead.name).toBe("wasm");
    await instead.dispose();
    vi.restoreAllMocks();
  });
});

it("a process with a device open ends by itself", () => {
  const core = fileURLToPath(new URL("../../src/index.ts", import.meta.url));
  const program = `import { tensor, useDevice } from ${JSON.stringify(core)};
    await useDevice("webgpu");
    console.log(await tensor([1, 2]).mul(2).array());`;
  const { status, stdout } = spawnSync(
    process.execPath,
    ["--import", "tsx", "--conditions", "@vlm/source", "--input-type=module", "--eval", program],
    { encoding: "utf8", timeout: 30_000 },
  );
  expect([status, stdout.trim()]).toEqual([0, "[ 2, 4 ]"]);
});
