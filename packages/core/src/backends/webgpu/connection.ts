/** A GPUDevice with a memory: whether it is lost, and which errors belong to which call. */
import { type AdapterInfo, describeAdapter, findAdapter } from "./adapter.ts";
import { destroyed, deviceLost, disposed, invalid, outOfMemory, type Usage, unavailable, wrap } from "./errors.ts";

const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

/** Milliseconds without any answer after which a device counts as lost: drivers reset a GPU that hangs within seconds. */
const PATIENCE = 120_000;
const SOFTWARE_PATIENCE = 1_200_000;
const TICKS = 4;

/** Milliseconds by which the news of a loss may be later than its first effect. */
const LOSS_NEWS = 100;

const WANTED_FEATURES = ["shader-f16", "subgroups", "timestamp-query"] as const;

export class Connection {
  readonly device: GPUDevice;
  readonly info: AdapterInfo;
  readonly features: { f16: boolean; subgroups: boolean; timestamps: boolean };
  /** Why the device cannot be used any more. */
  private gone: Error | null = null;
  /** An error that no call of ours explains: told to the next one. */
  private stray: Error | null = null;
  /** What is in use, for errors. */
  usage: () => Usage = () => ({ inUse: 0, peak: 0, temporaries: 0 });
  private readonly own: boolean;
  /** Who is to be told of the device's loss. (A promise that all race with would keep every one of them.) */
  private readonly waiting = new Set<(error: Error) => void>();

  private readonly patience: number;
  /** Answers that the device owes, and quarters of its patience that passed without any. */
  private owed = 0;
  private silent = 0;
  private clock: ReturnType<typeof setInterval> | null = null;

  constructor(device: GPUDevice, info: AdapterInfo, own: boolean, patience?: number) {
    this.device = device;
    this.info = info;
    this.own = own;
    this.patience = patience ?? (info.software ? SOFTWARE_PATIENCE : PATIENCE);
    const has = (name: string): boolean => device.features.has(name as GPUFeatureName);
    this.features = { f16: has("shader-f16"), subgroups: has("subgroups"), timestamps: has("timestamp-query") };
    device.lost.then(
      ({ reason, message }) => this.lose(reason === "destroyed" ? destroyed() : deviceLost(reason, message)),
      () => {},
    );
    device.addEventListener?.("uncapturederror", this.onStray);
  }

  private readonly onStray = (event: Event): void => {
    const { error } = event as GPUUncapturedErrorEvent;
    const memory = error.constructor.name === "GPUOutOfMemoryError";
    this.stray ??= memory
      ? outOfMemory(0, this.usage(), error)
      : invalid("a call without an owner", error.message, error);
    event.preventDefault();
  };

  private lose(error: Error): void {
    this.gone ??= error;
    for (const fail of this.waiting) fail(this.gone);
    this.waiting.clear();
    this.rest();
  }

  private rest(): void {
    if (this.clock !== null) clearInterval(this.clock);
    this.clock = null;
  }

  /** Ticks while the device owes answers. (Ticks rather than a deadline: a busy program must not be taken for a dead device.) */
  private watch(): void {
    if (this.clock !== null) return;
    this.silent = 0;
    this.clock = setInterval(() => {
      if (++this.silent < TICKS) return;
      this.lose(deviceLost("unresponsive", `it has answered nothing for ${this.patience / 1000} s`));
    }, this.patience / TICKS);
  }

  /** Throws when the device is lost or disposed, or when an error turned up that belongs to no call. */
  check(): void {
    if (this.gone) throw this.gone;
    const { stray } = this;
    this.stray = null;
    if (stray) throw stray;
  }

  /** Why the device cannot be used any more; null while it can. */
  get lost(): Error | null {
    return this.gone;
  }

  /** Gives the news of a loss the time to arrive: a mapping that fails by it is often told first, without a reason. */
  async settle(): Promise<void> {
    if (this.gone) return;
    await new Promise<void>((resolve) => {
      const told = (): void => {
        this.waiting.delete(told);
        resolve();
      };
      this.waiting.add(told);
      setTimeout(told, LOSS_NEWS);
    });
  }

  /** The promise, or the loss of the device, whichever is first: nothing waits for a dead or silent device. */
  orLost<T>(promise: Promise<T>): Promise<T> {
    this.owed++;
    if (!this.gone) this.watch();
    const answered = (): void => {
      this.silent = 0;
      if (--this.owed === 0) this.rest();
    };
    promise.then(answered, answered);
    return new Promise((resolve, reject) => {
      this.waiting.add(reject);
      const done = (): boolean => this.waiting.delete(reject);
      promise.finally(done).then(resolve, reject);
      if (this.gone) this.lose(this.gone);
    });
  }

  /**
   * Calls the device with error scopes around. What the call throws is thrown; what the device says later is in the
   * verdict. The scopes open and close in one turn, so that no other call's errors get in.
   */
  guarded<T>(where: string, call: () => T): { result: T; verdict: Promise<void> } {
    const { device } = this;
    const scopes: GPUErrorFilter[] = ["validation", "out-of-memory", "internal"];
    let result: T;
    let open = 0;
    const popped: Promise<GPUError | null>[] = [];
    try {
      for (const scope of scopes) {
        device.pushErrorScope(scope);
        open++;
      }
      result = call();
    } catch (error) {
      while (open-- > 0) ignore(() => device.popErrorScope());
      throw this.gone ?? wrap(where, error);
    }
    try {
      for (; open > 0; open--) popped.push(device.popErrorScope());
    } catch (error) {
      while (--open > 0) ignore(() => device.popErrorScope());
      for (const promise of popped) promise.catch(() => {});
      throw this.gone ?? wrap(where, error);
    }
    const verdict = this.orLost(
      Promise.all(popped).then(
        ([internal, memory, validation]) => {
          if (this.gone) throw this.gone;
          if (memory) throw outOfMemory(0, this.usage(), memory);
          const error = validation ?? internal;
          if (error) throw invalid(where, error.message, error);
        },
        (error) => {
          throw this.gone ?? wrap(where, error);
        },
      ),
    );
    verdict.catch(() => {});
    return { result, verdict };
  }

  /** Waits until everything submitted so far is done. */
  async finished(): Promise<void> {
    try {
      await this.orLost(this.device.queue.onSubmittedWorkDone());
    } catch (error) {
      throw this.gone ?? wrap("waiting for the queue", error);
    }
    if (this.gone) throw this.gone;
  }

  dispose(): void {
    this.lose(disposed());
    this.device.removeEventListener?.("uncapturederror", this.onStray);
    // A device that the application made stays the application's.
    if (this.own) ignore(() => this.device.destroy());
  }
}

/** Runs what may fail because the device is already broken: the first error is the one that is told. */
function ignore(call: () => unknown): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // Told by the first error.
  }
}

/** Opens the best adapter with all it offers, or takes the application's own device. */
export async function connect(device?: GPUDevice, patience?: number): Promise<Connection> {
  if (device) return new Connection(device, describeAdapter({ info: device.adapterInfo }), false, patience);
  let adapter = await findAdapter();
  for (let attempt = 0; ; attempt++) {
    const info = describeAdapter(adapter);
    const requiredLimits: Record<string, number> = {};
    for (const limit of WANTED_LIMITS) requiredLimits[limit] = adapter.limits[limit];
    const requiredFeatures = WANTED_FEATURES.filter((feature) => adapter.features.has(feature as GPUFeatureName));
    try {
      const opened = await adapter.requestDevice({
        requiredLimits,
        requiredFeatures: requiredFeatures as GPUFeatureName[],
      });
      return new Connection(opened, info, true, patience);
    } catch (cause) {
      // An adapter serves once; a fresh one may serve again.
      if (attempt > 0) throw unavailable(`${info.name} gives no device`, "update the graphics driver", cause);
      adapter = await findAdapter();
    }
  }
}
