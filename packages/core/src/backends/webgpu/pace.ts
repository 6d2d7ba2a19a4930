/**
 * How much work one submission may hold. Systems reset a GPU that does not answer for two seconds (Windows), browsers
 * after ten; so work is cut where it would take a tenth of that, at the rate at which the device has done the last plans.
 */

/** Milliseconds that one submission should take at most. */
const SLICE = 200;
/** Operations per millisecond before anything is measured: an integrated GPU's. */
const FIRST_RATE = 1e8;
/** Operations that are always one submission; how long less than this takes says little about the rate. */
const LEAST = 1e9;

export class Pace {
  private rate = FIRST_RATE;
  /** When the device was done with the last run. */
  private done = 0;

  /** Work that was submitted at `started` is done at `now`, in milliseconds. */
  measured(work: number, started: number, now = performance.now()): void {
    const time = Math.max(1, now - Math.max(started, this.done));
    this.done = now;
    // Halfway between old and new, so that one odd run is not taken for the rule.
    if (work >= LEAST) this.rate = Math.sqrt((this.rate * work) / time);
  }

  /** Operations of one submission. */
  get most(): number {
    return Math.max(LEAST, this.rate * SLICE);
  }
}
