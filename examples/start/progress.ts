import type { TrainProgress } from "@vlm/nn";

/** One line of a terminal that is drawn again; where the output goes to a file, a line every ten per cent. */
export class Progress {
  readonly #batch: number;
  readonly #terminal = process.stdout.isTTY === true;
  #drawn = 0;
  #told = -1;
  #open = false;

  constructor(batch: number) {
    this.#batch = batch;
  }

  show({ step, steps, loss, stepsPerSecond, secondsLeft }: TrainProgress): void {
    const share = step / steps;
    const line = [
      `${"█".repeat(Math.round(share * 20)).padEnd(20, "░")} ${String(step).padStart(String(steps).length)}/${steps}`,
      `loss ${loss.toFixed(3)}`,
      `${Math.round(stepsPerSecond * this.#batch)} images/s`,
      `${clock(secondsLeft)} left`,
    ].join("   ");
    if (!this.#terminal) {
      const tenth = Math.floor(share * 10);
      if (tenth > this.#told) console.log(`  ${line}`);
      this.#told = tenth;
      return;
    }
    const now = performance.now();
    if (now - this.#drawn < 100 && step < steps) return;
    this.#drawn = now;
    this.#open = true;
    process.stdout.write(`\r\u001b[K  ${line}`);
  }

  /** Leaves the line, so that something else can be written. */
  end(): void {
    if (this.#open) process.stdout.write("\n");
    this.#open = false;
  }
}

/** A line for something that has no length known beforehand but a count. */
export function countLine(what: string): (done: number, total: number) => void {
  return (done, total) => {
    if (process.stdout.isTTY === true) {
      process.stdout.write(`\r\u001b[K  ${what} ${done}/${total}${done === total ? "\n" : ""}`);
    } else if (done === 1) console.log(`  ${what}: ${total}`);
  };
}

export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
