import { charLength } from "../text/aligned-text.ts";
import type { PreTokenizer } from "./pre-tokenizer.ts";

/** Splits where the script changes; Hiragana, Katakana and the prolonged sound mark count as Han, a space as any. */
export const unicodeScripts: PreTokenizer = (piece, emit) => {
  const { text } = piece;
  // What comes before the first character with a script is left out, as in the reference.
  let from = text.length;
  let last = "";
  for (let i = 0; i < text.length; ) {
    const size = charLength(text, i);
    const script = scriptOf(text.slice(i, i + size), last);
    if (script !== ANY_SCRIPT) {
      if (script !== last) {
        if (last) emit(piece, from, i);
        from = i;
      }
      last = script;
    }
    i += size;
  }
  if (from < text.length) emit(piece, from, text.length);
};

const ANY_SCRIPT = "*";
const SCRIPTS =
  "Common Latin Han Inherited Cyrillic Greek Arabic Hebrew Devanagari Hangul Thai Armenian Syriac Thaana Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala Lao Tibetan Myanmar Georgian Ethiopic Cherokee Canadian_Aboriginal Ogham Runic Khmer Mongolian Bopomofo Yi Old_Italic Gothic Deseret Tagalog Hanunoo Buhid Tagbanwa Limbu Tai_Le Linear_B Ugaritic Shavian Osmanya Cypriot Braille Buginese Coptic New_Tai_Lue Glagolitic Tifinagh Syloti_Nagri Old_Persian Kharoshthi Balinese Cuneiform Phoenician Phags_Pa Nko Sundanese Lepcha Ol_Chiki Vai Saurashtra Kayah_Li Rejang Lycian Carian Lydian Cham Tai_Tham Tai_Viet Avestan Egyptian_Hieroglyphs Samaritan Lisu Bamum Javanese Meetei_Mayek Imperial_Aramaic Old_South_Arabian Inscriptional_Parthian Inscriptional_Pahlavi Old_Turkic Kaithi Batak Brahmi Mandaic Chakma Meroitic_Cursive Meroitic_Hieroglyphs Miao Sharada Sora_Sompeng Takri Adlam Bhaiksuki Marchen Newa Osage Tangut".split(
    " ",
  );
const tests = new Map<string, RegExp>();

function scriptOf(char: string, guess: string): string {
  if (char === " ") return ANY_SCRIPT;
  if (char === "\u30fc" || /[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(char)) return "Han";
  const is = (script: string) => {
    let test = tests.get(script);
    if (!test) {
      test = new RegExp(`\\p{Script=${script}}`, "u");
      tests.set(script, test);
    }
    return test.test(char);
  };
  if (guess && guess !== ANY_SCRIPT && is(guess)) return guess;
  return SCRIPTS.find(is) ?? ANY_SCRIPT;
}
