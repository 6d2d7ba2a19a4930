/** Growing columns of tokens: ids, spans in the original text (UTF-16 units) and word numbers. */
export class TokenList {
  ids: Int32Array = new Int32Array(32);
  starts: Int32Array = new Int32Array(32);
  ends: Int32Array = new Int32Array(32);
  words: Int32Array = new Int32Array(32);
  length = 0;

  clear(): void {
    this.length = 0;
    // After a very long text the memory is given back.
    if (this.ids.length > 0x100000) for (const column of COLUMNS) this[column] = new Int32Array(32);
  }

  push(id: number, start: number, end: number, word: number): void {
    const n = this.length;
    if (n === this.ids.length) this.#grow();
    this.ids[n] = id;
    this.starts[n] = start;
    this.ends[n] = end;
    this.words[n] = word;
    this.length = n + 1;
  }

  #grow(): void {
    const size = this.ids.length * 2;
    for (const column of COLUMNS) {
      const wider = new Int32Array(size);
      wider.set(this[column]);
      this[column] = wider;
    }
  }
}

const COLUMNS = ["ids", "starts", "ends", "words"] as const;
