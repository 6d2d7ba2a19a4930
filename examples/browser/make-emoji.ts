/** Writes `public/emoji.png` and `public/emoji.json`: one sheet of small drawings, and their words. */
import { mkdir, writeFile } from "node:fs/promises";
import { encodePng, imageGrid, openmoji } from "@vlm/image";
import { COLUMNS, type EmojiWords, SIZE } from "./messages.ts";

const GROUPS = ["smileys-emotion", "animals-nature", "food-drink", "travel-places", "activities", "objects"];

const emoji = await openmoji({ size: SIZE, groups: GROUPS });
const sheet = imageGrid(
  emoji.map(({ pixels }) => pixels),
  { columns: COLUMNS, gap: 0, cell: { width: SIZE, height: SIZE } },
);
const words: EmojiWords[] = emoji.map((one) => ({
  emoji: one.emoji,
  caption: [one.annotation, ...one.tags.filter((tag) => !one.annotation.includes(tag)).slice(0, 4)].join(", "),
}));
const folder = new URL("public/", import.meta.url);
await mkdir(folder, { recursive: true });
await writeFile(new URL("emoji.png", folder), await encodePng(sheet));
await writeFile(new URL("emoji.json", folder), JSON.stringify(words));
