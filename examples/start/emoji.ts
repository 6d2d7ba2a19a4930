/** OpenMoji's drawings as pairs of a picture and words, split so that what is tested was never seen. */
import { type OpenMoji, openmoji } from "@vlm/image";

export type Split = { train: OpenMoji[]; heldOut: OpenMoji[] };

export const IMAGE_SIZE = 32;

/** Seed of the split, fixed: every run, whatever its own seed, is tested on the same emoji. */
const SPLIT_SEED = 7;
const HELD_OUT = 300;

/** The groups without flags, which are a task of their own: 270 pictures of coloured stripes. */
export const GROUPS: readonly string[] = [
  "smileys-emotion",
  "people-body",
  "animals-nature",
  "food-drink",
  "travel-places",
  "activities",
  "objects",
  "symbols",
];

/** All emoji of the groups above, drawn in one style; drawn once, then read from a cache. */
export function loadEmoji(style: "color" | "black", onProgress?: (done: number, total: number) => void) {
  return openmoji({
    size: IMAGE_SIZE,
    style,
    groups: GROUPS,
    ...(onProgress && { onProgress: ({ done, total }) => onProgress(done, total) }),
  });
}

/** Emoji that differ only in gender, hair or direction have one `base` and stay on one side. */
export function splitByBase(emoji: readonly OpenMoji[]): Split {
  const bases = [...new Set(emoji.map(({ base }) => base))].sort((a, b) => hash(a) - hash(b) || (a < b ? -1 : 1));
  const heldOut = new Set<string>();
  let count = 0;
  for (const base of bases) {
    if (count >= HELD_OUT) break;
    heldOut.add(base);
    count += emoji.filter((one) => one.base === base).length;
  }
  return {
    train: emoji.filter(({ base }) => !heldOut.has(base)),
    heldOut: emoji.filter(({ base }) => heldOut.has(base)),
  };
}

/** FNV-1a of a text, begun with the split's seed and finished like MurmurHash3, so that neighbours part. */
function hash(text: string): number {
  let h = 0x811c9dc5 ^ SPLIT_SEED;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Tags that say more than the name: `red heart` needs no tag `heart`. */
export const newTags = ({ annotation, tags }: OpenMoji): string[] => tags.filter((tag) => !annotation.includes(tag));

/** The single words of its name, and its tags. */
export const wordsOf = (emoji: OpenMoji): ReadonlySet<string> =>
  new Set([...emoji.annotation.split(" "), ...newTags(emoji)]);

/** The words that an emoji is found by: its name, then its tags. */
export const captionOf = (emoji: OpenMoji): string => [emoji.annotation, ...newTags(emoji)].join(", ");

/** Words of a group as the captions use them: the sentences whose mean stands for it in zero-shot classification. */
export const GROUP_SENTENCES: ReadonlyMap<string, readonly string[]> = new Map([
  ["smileys-emotion", ["face", "happy face, smile", "sad face, emotion", "heart, love"]],
  ["people-body", ["person", "man, woman", "hand, finger", "person, sport", "family, people"]],
  ["animals-nature", ["animal", "bird", "fish", "flower, plant", "tree, nature"]],
  ["food-drink", ["food", "fruit", "vegetable", "drink", "sweet, dessert"]],
  ["travel-places", ["building, house", "car, vehicle", "place, mountain", "weather, cloud", "clock, time"]],
  ["activities", ["game", "ball, sport", "celebration, party", "medal, award"]],
  ["objects", ["tool", "clothes, clothing", "book, paper", "computer, phone", "instrument, music"]],
  ["symbols", ["symbol", "sign", "arrow", "button, square", "letter, number"]],
]);
