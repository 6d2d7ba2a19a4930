/** The most memory that a process took, for the same work, in a process of its own. */
import type { Suite } from "../report/report.ts";
import { ContenderProcess } from "../run/contender-process.ts";
import type { Work } from "../work/work.ts";
import { entriesOf } from "./field.ts";
import { VIT_B32, VIT_S16 } from "./models.ts";

const works: [string, Work][] = [
  ["ViT-B/32 ×8 forward", { kind: "vit", mode: "forward", model: VIT_B32, batch: 8 }],
  ["ViT-S/16 ×4 training step", { kind: "vit", mode: "gradient", model: VIT_S16, batch: 4 }],
];

export const memory: Suite = {
  about: "peak memory of the process for a forward pass and for gradients",
  async run(options) {
    const rows: (string | number | null)[][] = [];
    for (const [name, work] of works) {
      for (const entry of entriesOf(options)) {
        if (entry.contender === "vlm-plain" || entry.name === "vlm, other Node") continue;
        const process = new ContenderProcess(entry);
        try {
          let reply = await process.ask({ do: "open", contender: entry.contender, threads: 1 });
          const before = await process.ask({ do: "memory" });
          if (reply.ok) reply = await process.ask({ do: "prepare", work, file: "" });
          if (reply.ok) reply = await process.ask({ do: "measure", milliseconds: options.pace.window });
          const after = await process.ask({ do: "memory" });
          const [start, peak] = [before, after].map((usage) => (usage.ok ? (usage.rss ?? 0) / 1e6 : Number.NaN));
          rows.push([name, entry.name, ...(reply.ok ? [peak!, start!] : [reply.error, null])]);
          options.log(`memory, ${name}, ${entry.name}: ${reply.ok ? `${peak!.toFixed(0)} MB` : reply.error}`);
        } finally {
          process.close();
        }
      }
    }
    return {
      tables: [
        {
          title: "Peak resident memory, MB",
          note: "Includes the weights as JavaScript (or NumPy) arrays that every contender was given, and the runtime itself: its size after opening the library stands in the last column.",
          columns: ["work", "library", "peak MB", "MB before the work"],
          rows,
        },
      ],
    };
  },
};
