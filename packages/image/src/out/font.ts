/** A built-in bitmap font: the printable characters of ASCII, 5 × 7 pixels each. */

/** Width and height of a character cell, the gap to the next included. */
export const CELL = { width: 6, height: 9 } as const;

/** Seven rows a character from space to tilde; each row is a digit in base 32 whose bits are pixels. */
const GLYPHS =
  "00000004444404aa00000aavavaa4fke5u4pp248jjcik8lid44000002488842842224804lel40044v4400000448000v00000000cc" +
  "11248ggehjlphe4c4444eeh168gveh161he26aiv22vgu11he68guhhev124488ehhehheehhf12c0cc0cc00cc0448248g84200v0v00" +
  "8421248eh16404ehnlngeehhvhhhuhhuhhuehgggheuhhhhhuvgguggvvggugggehgnhhfhhhvhhhe44444e72222ichikokihggggggv" +
  "hrllhhhhpljhhhehhhhheuhhugggehhhliduhhukihfgge11uv444444hhhhhhehhhhha4hhhllrhhha4ahhhha4444v1248gve88888e" +
  "gg84211e22222e4ah0000000000v840000000e1fhfgguhhhu00eggge11fhhhf00ehvge68s888800fhf1egguhhhh40c444e20622ic" +
  "ggikokic44444e00qllll00uhhhh00ehhhe00uhugg00fhf1100moggg00fge1u88s889600hhhjd00hhha400hllla00ha4ah00hhf1e" +
  "00v248v244844244444448442448008l200";

/** Rows of a character, the leftmost pixel in bit 4; a hollow box for what the font does not have. */
export function glyphRows(character: string): readonly number[] {
  const index = character.charCodeAt(0) - 32;
  if (character.length !== 1 || index < 0 || index > 94) return [31, 17, 17, 17, 17, 17, 31];
  return Array.from(GLYPHS.slice(index * 7, index * 7 + 7), (digit) => Number.parseInt(digit, 32));
}

/** Text in characters of the font: accents dropped, typographic quotes and dashes plain, line breaks as spaces. */
export function plainText(text: string): string[] {
  const plain = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/[\u201c\u201d]/g, '"')
    .replace(/[\u2013\u2014]/g, "-")
    .replace(/\s+/g, " ")
    .trim();
  return [...plain];
}
