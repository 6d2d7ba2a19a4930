/** Codes of men and women, boys and girls, and so on, by the code of the person, child, … they are variants of. */
const PEOPLE: Record<string, string> = {
  "1F468": "1F9D1",
  "1F469": "1F9D1",
  "1F466": "1F9D2",
  "1F467": "1F9D2",
  "1F474": "1F9D3",
  "1F475": "1F9D3",
  "1F934": "1FAC5",
  "1F478": "1FAC5",
  "1F930": "1FAC4",
  "1FAC3": "1FAC4",
};

/** Whole emoji that are variants of another: couples and winter's gift bringers. */
const WHOLE: Record<string, string> = {
  "1F46B": "1F9D1-1F91D-1F9D1",
  "1F46C": "1F9D1-1F91D-1F9D1",
  "1F46D": "1F9D1-1F91D-1F9D1",
  "1F9D1-2764-1F48B-1F9D1": "1F48F",
  "1F9D1-2764-1F9D1": "1F491",
  "1F385": "1F9D1-1F384",
  "1F936": "1F9D1-1F384",
};

/** Joiner, variation selector, signs of women and men, the arrow of direction; then skin tones and hair. */
const DROPPED = /^(200D|FE0F|2640|2642|27A1|1F3F[B-F]|1F9B[0-3])$/;

/**
 * The emoji of which this one is a variant of skin tone, gender, hair or direction, as hexcode: a split by `base`
 * keeps near twins on one side.
 */
export function baseOf(hexcode: string): string {
  const codes = hexcode.split("-");
  // Single signs such as ♀ or ➡ are themselves.
  const kept = codes.length === 1 ? codes : codes.filter((code) => !DROPPED.test(code));
  const people = kept.map((code) => PEOPLE[code] ?? code);
  const family = people.length > 1 && people.every((code) => code === "1F9D1" || code === "1F9D2");
  if (family) return "1F46A";
  const base = people.join("-");
  return WHOLE[base] ?? (base === "" ? hexcode : base);
}
