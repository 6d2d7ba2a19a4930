/** Which of numbered things come before which, for any number of links between them: a transitive closure in bits. */
export class Precedence {
  /** For each thing, a bit for everything before it. */
  readonly #before: Uint32Array[] = [];

  /** `first` comes before `then`. */
  add(first: number, then: number): void {
    if (first === then || this.has(first, then)) return;
    const earlier = this.#bits(first).slice();
    earlier[first >>> 5]! |= 1 << (first & 31);
    for (let at = 0; at < this.#before.length; at++) {
      if (at === then || this.has(then, at)) this.#include(at, earlier);
    }
    if (then >= this.#before.length) this.#include(then, earlier);
  }

  /** Whether `first` comes before `then`, directly or through others. */
  has(first: number, then: number): boolean {
    const bits = this.#before[then];
    return bits !== undefined && ((bits[first >>> 5] ?? 0) & (1 << (first & 31))) !== 0;
  }

  #bits(of: number): Uint32Array {
    const words = (of >>> 5) + 1;
    while (this.#before.length <= of) this.#before.push(new Uint32Array(1));
    const bits = this.#before[of]!;
    return bits.length >= words ? bits : this.#widen(of, words);
  }

  /** To a power of two: what is as wide as a row that was widened makes no other row wider still. */
  #widen(of: number, words: number): Uint32Array {
    const wider = new Uint32Array(2 ** Math.ceil(Math.log2(words)));
    wider.set(this.#before[of]!);
    this.#before[of] = wider;
    return wider;
  }

  #include(into: number, earlier: Uint32Array): void {
    let bits = this.#bits(into);
    if (bits.length < earlier.length) bits = this.#widen(into, earlier.length);
    for (let i = 0; i < earlier.length; i++) bits[i]! |= earlier[i]!;
  }
}
