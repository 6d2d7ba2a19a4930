import { parseArgs } from "node:util";
import type { DeviceName } from "@vlm/core";
import { UsageError } from "../lib/program.ts";

export type StartOptions = {
  device: DeviceName | null;
  steps: number;
  batch: number;
  seed: number;
  out: string;
  resume: boolean;
  loss: "clip" | "siglip";
  /** Only writes the initial weights and the data for tools/reference/start_pytorch.py. */
  exportInitial: boolean;
};

export const HELP = `npm start -- [options]

Trains a small CLIP on OpenMoji's drawings and their words, says what it is worth on drawings it has not seen, and
searches among them.

  --device webgpu|wasm|js   where to compute (default: a GPU if there is one, else WebAssembly on all cores)
  --steps N                 updates (default 300)
  --batch N                 pairs per update (default 128)
  --seed N                  another split of the random numbers, the same on every machine (default 1)
  --out FOLDER              where model and report go (default runs/start)
  --resume                  go on with an interrupted run in that folder
  --loss clip|siglip        softmax over the batch (default), or a yes-or-no question for each pair
  --help                    this text
`;

/** The command line; null when it asks for help. */
export function readOptions(args: readonly string[]): StartOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      device: { type: "string" },
      steps: { type: "string", default: "300" },
      batch: { type: "string", default: "128" },
      seed: { type: "string", default: "1" },
      out: { type: "string", default: "runs/start" },
      resume: { type: "boolean", default: false },
      loss: { type: "string", default: "clip" },
      help: { type: "boolean", default: false },
      "export-initial": { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  return {
    device: values.device === undefined ? null : oneOf("device", values.device, ["webgpu", "wasm", "js"] as const),
    steps: whole("steps", values.steps, 1),
    batch: whole("batch", values.batch, 2),
    seed: whole("seed", values.seed, 0),
    out: values.out,
    resume: values.resume,
    loss: oneOf("loss", values.loss, ["clip", "siglip"] as const),
    exportInitial: values["export-initial"],
  };
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} is a whole number, at least ${least}, and not "${text}".`);
}

function oneOf<const T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} is ${choices.join(" or ")}, and not "${text}".`);
}
