import {
  bertProcessor,
  byteLevelProcessor,
  type PostProcessor,
  processorSequence,
  robertaProcessor,
  type TemplatePiece,
  templateProcessor,
} from "../post-processors/post-processor.ts";
import type { Json } from "./json.ts";
import { dispatch } from "./read-normalizer.ts";

/** Whether an id exists: templates with ids that do not would give wrong rows later. */
type Known = (id: number) => boolean;

const READERS: Record<string, (json: Json, known: Known) => PostProcessor> = {
  Sequence: (json, known) =>
    processorSequence(
      json
        .get("processors")
        .array()
        .map((p) => readPostProcessor(p, known)),
    ),
  ByteLevel: (json) =>
    byteLevelProcessor(json.get("trim_offsets").boolean(true), json.get("add_prefix_space").boolean(true)),
  BertProcessing: (json, known) => bertProcessor(pairId(json.get("cls"), known), pairId(json.get("sep"), known)),
  RobertaProcessing: (json, known) =>
    robertaProcessor(
      pairId(json.get("cls"), known),
      pairId(json.get("sep"), known),
      json.get("trim_offsets").boolean(true),
      json.get("add_prefix_space").boolean(true),
    ),
  TemplateProcessing: (json, known) => {
    const specials = json.get("special_tokens");
    const single = json
      .get("single")
      .array()
      .map((p) => readPiece(p, specials, known));
    const pair = json
      .get("pair")
      .array()
      .map((p) => readPiece(p, specials, known));
    for (const sequence of [0, 1]) {
      if (!pair.some((p) => "sequence" in p && p.sequence === sequence)) {
        throw json.get("pair").fail("TK_TEMPLATE", "the template for pairs must use both A and B");
      }
    }
    if (single.some((p) => "sequence" in p && p.sequence === 1)) {
      throw json.get("single").fail("TK_TEMPLATE", "the template for one text must not use B");
    }
    return templateProcessor(single, pair);
  },
};

export function readPostProcessor(json: Json, known: Known): PostProcessor {
  return dispatch(json, READERS, "post-processor")(json, known);
}

/** `["[CLS]", 101]`. */
function pairId(json: Json, known: Known): number {
  const id = json.array()[1];
  if (!id) throw json.wrong("a token and its id");
  return knownId(id, known);
}

function knownId(json: Json, known: Known): number {
  const id = json.count();
  if (!known(id))
    throw json.fail("TK_TEMPLATE", `the id ${id} is not in the vocabulary`, "add the special token to added_tokens");
  return id;
}

function readPiece(json: Json, specials: Json, known: Known): TemplatePiece {
  if (json.has("Sequence")) {
    const piece = json.get("Sequence");
    return { sequence: piece.get("id").choice(["A", "B"]) === "A" ? 0 : 1, typeId: piece.get("type_id").count(0) };
  }
  const piece = json.get("SpecialToken");
  const name = piece.get("id").string();
  if (specials.missing || !specials.has(name)) {
    throw piece
      .get("id")
      .fail(
        "TK_TEMPLATE",
        `the template refers to ${JSON.stringify(name)}, which special_tokens does not define`,
        `add it to ${specials.path}`,
      );
  }
  const ids = specials
    .get(name)
    .get("ids")
    .array()
    .map((id) => knownId(id, known));
  return { ids, typeId: piece.get("type_id").count(0) };
}
