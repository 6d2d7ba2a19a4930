import type { StepReport } from "./guarded-step.ts";

/** What a run tells while it goes on. */
export type TrainProgress = {
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm of the gradients before clipping. */
  readonly gradientNorm: number;
  /** What `loss` returned beside the loss. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What `evaluate.run` returned, after the steps where it ran. */
  readonly evaluation?: Readonly<Record<string, number>>;
  /**
   * Why the update was left out, if it was: the scaled gradients overflowed (the loss scale is halved), or something was
   * not finite and `onNonFinite` is "skip".
   */
  readonly leftOut?: "overflow" | "non-finite";
  /** Factor of the loss in the step's backward pass, with `lossScale`. */
  readonly lossScale?: number;
  readonly stepsPerSecond: number;
  readonly secondsLeft: number;
};

/** Part of a terminal: `process.stderr` is one. */
export type Terminal = { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };

/** The process's error stream, if it is a terminal. */
export const ownTerminal = (): Terminal | null =>
  typeof process !== "undefined" && process.stderr?.isTTY ? process.stderr : null;

/** Tells callback and terminal how the run goes. */
export class Reporter {
  private readonly steps: number;
  private readonly scaled: boolean;
  private readonly callback: ((progress: TrainProgress) => void) | undefined;
  private readonly bar: ProgressBar | null;
  /** Steps told, and since when. */
  private told = 0;
  private began = performance.now();
  private last: TrainProgress | null = null;

  constructor(options: { steps: number; scaled: boolean; callback?: Reporter["callback"]; bar: ProgressBar | null }) {
    this.steps = options.steps;
    this.scaled = options.scaled;
    this.callback = options.callback;
    this.bar = options.bar;
  }

  /** Starts the clock. */
  begin(): void {
    this.began = performance.now();
  }

  /** Tells of a step: `step` are done with it. */
  step(step: number, { outcome, loss, learningRate, gradientNorm, metrics, lossScale }: StepReport): void {
    const stepsPerSecond = (++this.told / (performance.now() - this.began)) * 1000;
    this.tell({
      step,
      steps: this.steps,
      loss,
      learningRate,
      gradientNorm,
      metrics,
      stepsPerSecond,
      secondsLeft: (this.steps - step) / stepsPerSecond,
      ...(this.scaled && { lossScale }),
      ...(outcome !== "written" && { leftOut: outcome === "overflow" ? outcome : "non-finite" }),
    });
  }

  /** Tells what was measured after the step told last. */
  evaluation(evaluation: Readonly<Record<string, number>>): void {
    this.tell({ ...this.last!, evaluation });
  }

  end(): void {
    this.bar?.end();
  }

  private tell(progress: TrainProgress): void {
    this.last = progress;
    this.bar?.show(progress);
    this.callback?.(progress);
  }
}

/** One line that is drawn again at most ten times a second. */
export class ProgressBar {
  private readonly terminal: Terminal;
  private drawn = 0;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  show(progress: TrainProgress): void {
    const now = performance.now();
    const last = progress.step === progress.steps;
    if (!last && now - this.drawn < 100 && !progress.evaluation) return;
    this.drawn = now;
    const line = progressLine(progress).slice(0, (this.terminal.columns ?? 100) - 1);
    this.terminal.write(`\r\u001b[K${line}${progress.evaluation ? "\n" : ""}`);
  }

  end(): void {
    if (this.drawn > 0) this.terminal.write("\n");
  }
}

/** `120/2000 ███▋      loss 0.412  lr 1.0e-3  norm 0.83  12.1 steps/s  2:35 left`. */
export function progressLine(progress: TrainProgress): string {
  const { step, steps, loss, learningRate, gradientNorm, stepsPerSecond, secondsLeft } = progress;
  const parts = [
    `${String(step).padStart(String(steps).length)}/${steps} ${bar(step / steps, 16)}`,
    `loss ${short(loss)}`,
    `lr ${learningRate.toExponential(1)}`,
    `norm ${short(gradientNorm)}`,
    ...(progress.lossScale === undefined ? [] : [`scale ${short(progress.lossScale)}`]),
    ...Object.entries({ ...progress.metrics, ...progress.evaluation }).map(
      ([name, value]) => `${name} ${short(value)}`,
    ),
    `${stepsPerSecond < 1 ? `${short(1 / stepsPerSecond)} s/step` : `${short(stepsPerSecond)} steps/s`}`,
    `${clock(secondsLeft)} left`,
  ];
  return parts.join("  ");
}

const short = (x: number): string => String(Number(x.toPrecision(3)));

function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const part = eighths % 8;
  return ("█".repeat(Math.floor(eighths / 8)) + (part > 0 ? " ▏▎▍▌▋▊▉"[part] : "")).padEnd(width);
}

function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const s = Math.round(seconds);
  const two = (n: number): string => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}
