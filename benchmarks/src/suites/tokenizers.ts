/** A megabyte of mixed text through real vocabularies, ours and Hugging Face's JavaScript in one process, in turns. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gunzipSync } from "node:zlib";
import { Tokenizer as Peer } from "@huggingface/tokenizers";
import type { Tokenizer } from "@vlm/tokenizers";
import type { Suite } from "../report/report.ts";
import { bundled } from "../run/bundled.ts";
import { summaryOf } from "../run/statistics.ts";
import { mixedLines, wordPieces } from "../work/mixed-text.ts";

type Json = Record<string, unknown>;

const require = createRequire(import.meta.url);
const fixture = (name: string): Uint8Array =>
  readFileSync(new URL(`../../../packages/tokenizers/fixtures/${name}`, import.meta.url));
const ranks = (name: string): string => readFileSync(require.resolve(`gpt-tokenizer/data/${name}.tiktoken`), "utf8");

const special = (id: number, content: string): Json => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** BERT uncased over a vocabulary of 30,522 pieces. */
function bert(lines: readonly string[]): Json {
  const vocab = wordPieces(lines, 30_522);
  return {
    version: "1.0",
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map((token, id) => special(id, token)),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: null,
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocab),
    },
  };
}

type Load = (source: Json) => Promise<Tokenizer>;

const families: [name: string, open: (load: Load, lines: readonly string[]) => Promise<Tokenizer>][] = [
  ["BPE, GPT-2 (50,257)", (load) => load({ "r50k_base.tiktoken": ranks("r50k_base") })],
  ["BPE, GPT-4 (100,277)", (load) => load({ "cl100k_base.tiktoken": ranks("cl100k_base") })],
  ["BPE, CLIP (49,408)", (load) => load({ "bpe_simple_vocab_16e6.txt.gz": fixture("bpe_simple_vocab_16e6.txt.gz") })],
  ["WordPiece, BERT (30,522)", (load, lines) => load(bert(lines))],
  ["Unigram, T5 (2,000)", (load) => load(JSON.parse(gunzipSync(fixture("t5.json.gz")).toString()) as Json)],
];

/** Where the peer's ids differ from ours: as a share of lines, so that a difference of Unicode tables does not end the race. */
function differing(lines: readonly string[], ours: (text: string) => ArrayLike<number>, theirs: typeof ours): number {
  const differ = lines.filter((line) => Array.from(ours(line)).join() !== Array.from(theirs(line)).join());
  return differ.length / lines.length;
}

export const tokenizers: Suite = {
  about: "a megabyte of mixed text through BPE, WordPiece and Unigram",
  async run({ pace, filter, log }) {
    const lines = mixedLines(1e6);
    const whole = lines.join("\n");
    const { Tokenizer: Ours } = await bundled<{ Tokenizer: typeof Tokenizer }>(
      "tokenizers",
      'export { Tokenizer } from "@vlm/tokenizers";',
    );
    const load: Load = (source) => Ours.load(source);
    const rows: (string | number | null)[][] = [];
    for (const [name, open] of families) {
      if (!name.includes(filter)) continue;
      const ours = await open(load, lines);
      const peer = new Peer(ours.toJSON(), {});
      const encode = (text: string): ArrayLike<number> => ours.encode(text, { addSpecial: false }).ids;
      const encodePeer = (text: string): ArrayLike<number> => peer.encode(text, { add_special_tokens: false }).ids;
      const unlike = differing(lines, encode, encodePeer);
      for (const [form, texts] of [
        ["one text", [whole]],
        ["line by line", lines],
      ] as const) {
        const times: [ours: number[], theirs: number[]] = [[], []];
        for (let round = -1; round < pace.rounds; round++) {
          for (const [i, run] of [encode, encodePeer].entries()) {
            const start = performance.now();
            for (const text of texts) run(text);
            if (round >= 0) times[i]!.push(performance.now() - start);
          }
        }
        const [a, b] = times.map(summaryOf) as [ReturnType<typeof summaryOf>, ReturnType<typeof summaryOf>];
        rows.push([name, form, a.best, b.best, b.best / a.best, b.median / a.median, 100 * unlike]);
        log(
          `tokenizers, ${name}, ${form}: ${a.best.toFixed(0)} ms, theirs ${b.best.toFixed(0)} (${(b.best / a.best).toFixed(2)}×)`,
        );
      }
    }
    return {
      tables: [
        {
          title: "1 MB of mixed text (14 languages, prose, code, emoji) to ids",
          note: "Against npm @huggingface/tokenizers, in turns in one process. Ours also gives offsets. “Lines unlike”: where the peer's ids are not the reference's (ours are, see the parity tests).",
          columns: [
            "tokenizer",
            "given as",
            "vlm ms",
            "peer ms",
            "ratio of best",
            "ratio of medians",
            "lines unlike %",
          ],
          rows,
        },
      ],
    };
  },
};
