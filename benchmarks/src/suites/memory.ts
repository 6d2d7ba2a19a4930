/** The most memory that a process took, for the same work, in a process of its own. */
import type { Suite, Table } from "../report/report.ts";
import { Field } from "../run/field.ts";
import type { Work } from "../work/work.ts";
import { entriesOf, selected } from "./measure.ts";
import { VIT_B32, VIT_S16 } from "./models.ts";

const cases: { name: string; work: Work }[] = [
  { name: "ViT-B/32 ×4 forward", work: { kind: "vit", mode: "forward", model: VIT_B32, batch: 4 } },
  { name: "ViT-S/16 ×2 gradients", work: { kind: "vit", mode: "gradient", model: VIT_S16, batch: 2 } },
];

export const memory: Suite = {
  about: "peak memory of the process for a forward pass and for gradients",
  async run(options) {
    const table: Table = {
      title: "Peak resident memory, MB",
      note: "Includes the weights as JavaScript (or NumPy) arrays that every contender was given, and the runtime itself: its peak when the library had been opened stands in the last column.",
      columns: ["work", "library", "peak MB", "MB before the work"],
      rows: [],
      bars: { value: 2, unit: "MB" },
    };
    const entries = entriesOf(options).filter(({ name, own }) => !own || name === "vlm");
    for (const { name, work } of selected(cases, options)) {
      // One after the other, each process for this work alone, which the first call takes to its peak.
      for (const entry of entries) {
        const field = new Field([entry], 1, options.limitMs);
        const { rows } = await field.compare(name, work, { rounds: 0, window: 1 }, { quick: true });
        await field.close();
        const { state, error, memory: used } = rows[0]!;
        const [peak, opened] = used ? [used.peak / 1e6, used.opened / 1e6] : [state, null];
        table.rows.push([name, entry.name, error ? `${state}: ${error}` : peak, opened]);
        options.log(`memory, ${name}, ${entry.name}: ${used ? `${(used.peak / 1e6).toFixed(0)} MB` : error}`);
      }
    }
    return { tables: [table] };
  },
};
