import { formatError } from "../errors.ts";

/** A field of a protocol buffer message: varints and fixed numbers as numbers, the rest as bytes. */
export type ProtoField = { number: number; value: number | Uint8Array };

/** Walks over the fields of a message; groups and truncated input are refused. */
export function* protoFields(bytes: Uint8Array, where: string): Generator<ProtoField> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const bad = (what: string) =>
    formatError("TK_PROTOBUF", `${where} at byte ${at}`, what, "this is not a SentencePiece model, or it is damaged");
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= bytes.length) throw bad("the file ends inside a number");
      const byte = bytes[at++]!;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw bad("a number of more than ten bytes");
  };
  while (at < bytes.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    if (number < 1) throw bad(`a field with the number ${number}`);
    switch (key % 8) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        if (at + 8 > bytes.length) throw bad("the file ends inside a field");
        yield { number, value: view.getFloat64(at, true) };
        at += 8;
        break;
      case 2: {
        const length = varint();
        if (at + length > bytes.length) throw bad(`a field of ${length} bytes where ${bytes.length - at} are left`);
        yield { number, value: bytes.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        if (at + 4 > bytes.length) throw bad("the file ends inside a field");
        yield { number, value: view.getFloat32(at, true) };
        at += 4;
        break;
      default:
        throw bad(`a field of the unknown wire type ${key % 8}`);
    }
  }
}
