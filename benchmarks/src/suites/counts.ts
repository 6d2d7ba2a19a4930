/** What does not depend on the machine: kernels and bytes of a training step. CI holds us to them. */
import type { Suite } from "../report/report.ts";
import { B, bytesMoved, D, HEADS, N, scheduleOf } from "../run/schedules.ts";

const BLOCKS = 3;

export const counts: Suite = {
  about: "kernels and bytes of three blocks, which do not depend on the machine",
  async run({ log }) {
    const rows: (string | number)[][] = [];
    for (const device of ["wasm", "webgpu"] as const) {
      for (const mode of ["forward", "gradients", "step"] as const) {
        const schedule = await scheduleOf(device, mode, BLOCKS);
        const [kernels, megabytes] = [schedule.kernels.length, bytesMoved(schedule) / 1e6];
        rows.push([device, mode, kernels, kernels / BLOCKS, megabytes]);
        log(`counts, ${device}, ${mode}: ${kernels} kernels, ${megabytes.toFixed(1)} MB`);
      }
    }
    return {
      tables: [
        {
          title: `Kernels and bytes of ${BLOCKS} Transformer blocks, ${B} × ${N} tokens of width ${D}, ${HEADS} heads`,
          note: "Bytes are those of the buffers that each kernel touches. A step is forward, backward and AdamW of all parameters. Tests fail when one of these numbers, or the size of a download, grows.",
          columns: ["schedule of", "what", "kernels", "per block", "MB touched"],
          rows,
        },
      ],
    };
  },
};
