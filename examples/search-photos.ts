/**
 * Finds pictures of a folder by words.
 *
 *   npx tsx examples/search-photos.ts photos/ "a dog on a beach" "something red" --out found.png
 *
 * Pictures that cannot be read are left out and counted. `--out` draws what was found.
 */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { CLIP } from "@vlm/clip";
import { type Image, imageGrid, readImage, writePng } from "@vlm/image";
import { program, sentenceOf, UsageError } from "./lib/program.ts";

const PICTURE = /\.(png|jpe?g|gif|bmp|webp|avif)$/i;

await program(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: "string", default: "runs/start/model" },
      k: { type: "string", default: "5" },
      out: { type: "string" },
    },
  });
  const [folder, ...queries] = positionals;
  if (folder === undefined || queries.length === 0) {
    throw new UsageError('Name a folder and what to look for: search-photos.ts photos/ "a dog on a beach".');
  }

  const photos = await readPhotos(folder);
  const clip = await CLIP.load(values.model);
  const index = await clip.createIndex(
    photos.map(({ image }) => image),
    { items: photos },
  );
  const rows: { image: Image; caption: string }[] = [];
  for (const query of queries) {
    console.log(`"${query}"`);
    for (const { item, score } of await clip.search(index, query, { k: Number(values.k) })) {
      console.log(`  ${score.toFixed(3)}  ${item.file}`);
      rows.push({ image: item.image, caption: query });
    }
  }
  if (values.out === undefined) return;
  const grid = imageGrid(rows, { columns: Number(values.k), cell: { width: 120, height: 120 } });
  await writePng(values.out, grid);
  console.log(values.out);
});

async function readPhotos(folder: string): Promise<{ file: string; image: Image }[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`The folder ${folder} cannot be read (${error.code}).`);
  });
  const files = names.filter((name) => PICTURE.test(name)).sort();
  if (files.length === 0) throw new UsageError(`There is no picture in ${folder}: PNG, JPEG, GIF, BMP, WebP or AVIF.`);
  const photos: { file: string; image: Image }[] = [];
  const broken: string[] = [];
  for (const name of files) {
    const file = path.join(folder, name);
    try {
      photos.push({ file, image: await readImage(file, { background: [255, 255, 255] }) });
    } catch (error) {
      const sentence = sentenceOf(error);
      if (sentence === null) throw error;
      broken.push(sentence);
    }
  }
  if (broken.length > 0) console.warn(`${broken.length} of ${files.length} pictures cannot be read. ${broken[0]}`);
  if (photos.length === 0) throw new UsageError(`None of the ${files.length} pictures in ${folder} can be read.`);
  return photos;
}
