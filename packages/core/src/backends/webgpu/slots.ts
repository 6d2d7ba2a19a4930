/** Puts temporaries whose lives do not overlap into the same buffers. */

/** Which buffers one dispatch touches. */
export type Touches = { bindings: readonly { buffer: number }[] };

export type SlotPlan = {
  /** Slot of each temporary; −1 for other buffers. */
  slotOf: readonly number[];
  /** Bytes of each slot, the largest first. */
  bytes: readonly number[];
};

/**
 * Greedy colouring, largest first. Slots are whole buffers rather than ranges of one: WebGPU forbids reading one range
 * and writing another of the same buffer in one dispatch through bindings of different kinds.
 */
export function planSlots(
  steps: readonly Touches[],
  temporaries: ReadonlyMap<number, number>,
  count: number,
): SlotPlan {
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  steps.forEach(({ bindings }, at) => {
    for (const { buffer } of bindings) {
      if (!first.has(buffer)) first.set(buffer, at);
      last.set(buffer, at);
    }
  });
  const order = [...temporaries.keys()].filter((buffer) => first.has(buffer));
  order.sort((a, b) => temporaries.get(b)! - temporaries.get(a)! || a - b);
  const slotOf = new Array<number>(count).fill(-1);
  const slots: { bytes: number; lives: (readonly [number, number])[] }[] = [];
  for (const buffer of order) {
    const [from, to] = [first.get(buffer)!, last.get(buffer)!];
    let slot = slots.findIndex(({ lives }) => lives.every(([a, b]) => to < a || b < from));
    if (slot < 0) slot = slots.push({ bytes: temporaries.get(buffer)!, lives: [] }) - 1;
    slots[slot]!.lives.push([from, to]);
    slotOf[buffer] = slot;
  }
  return { slotOf, bytes: slots.map(({ bytes }) => bytes) };
}
