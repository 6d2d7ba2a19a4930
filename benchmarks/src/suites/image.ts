/** CLIP's preprocessing of a megapixel file to 224 × 224, ours and transformers.js's with sharp, in one process, in turns. */
import type { clipPreprocessor, preprocess } from "@vlm/image";
import type { Suite } from "../report/report.ts";
import { bundled } from "../run/bundled.ts";
import { summaryOf } from "../run/statistics.ts";
import { photographs } from "../work/photo.ts";

type Ours = { preprocess: typeof preprocess; clipPreprocessor: typeof clipPreprocessor };

/** Root mean square of the difference, in levels of 255. */
function levelsBetween(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / a.length) * 0.27 * 255;
}

export const image: Suite = {
  about: "224 × 224 from a megapixel JPEG, WebP and PNG",
  async run({ pace, filter, log }) {
    const { CLIPImageProcessor, RawImage } = await import("@huggingface/transformers");
    const { preprocess: ours, clipPreprocessor: config } = await bundled<Ours>(
      "image",
      'export { clipPreprocessor, preprocess } from "@vlm/image";',
    );
    const peerConfig = {
      do_resize: true,
      size: { shortest_edge: 224 },
      resample: 3,
      do_center_crop: true,
      crop_size: { height: 224, width: 224 },
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [...config.normalize.mean],
      image_std: [...config.normalize.std],
    };
    const processor = new CLIPImageProcessor(peerConfig);
    const rows: (string | number | null)[][] = [];
    for (const { name, bytes } of await photographs()) {
      if (!name.includes(filter)) continue;
      const runs = [
        async (): Promise<ArrayLike<number>> => (await ours(bytes, config)).data(),
        async (): Promise<ArrayLike<number>> => {
          const { pixel_values: pixels } = await processor(await RawImage.fromBlob(new Blob([bytes])));
          return pixels.data as Float32Array;
        },
      ];
      const levels = levelsBetween(await runs[0]!(), await runs[1]!());
      const times: [ours: number[], theirs: number[]] = [[], []];
      for (let round = -3; round < 8 * pace.rounds; round++) {
        for (const [i, run] of runs.entries()) {
          const start = performance.now();
          await run();
          if (round >= 0) times[i]!.push(performance.now() - start);
        }
      }
      const [a, b] = times.map(summaryOf) as [ReturnType<typeof summaryOf>, ReturnType<typeof summaryOf>];
      rows.push([name, (bytes.length / 1e3).toFixed(0), a.best, b.best, b.best / a.best, b.median / a.median, levels]);
      log(`image, ${name}: ${a.best.toFixed(1)} ms, theirs ${b.best.toFixed(1)} (${(b.best / a.best).toFixed(2)}×)`);
    }
    return {
      tables: [
        {
          title: "A file of 1152 × 864 pixels to CLIP's input",
          note: "Bytes in memory to float32 [3 224 224], against transformers.js with sharp, in turns in one process. Ours is Pillow's arithmetic bit for bit; the last column says how far theirs is from it (root mean square, levels of 255).",
          columns: ["file", "kB", "vlm ms", "peer ms", "ratio of best", "ratio of medians", "peer's difference"],
          rows,
        },
      ],
    };
  },
};
