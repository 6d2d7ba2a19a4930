/** What a suite gives: comparisons, tables and curves; written as JSON, Markdown and SVG. */
import type { Comparison, Pace } from "../run/field.ts";
import type { Machine } from "../run/machine.ts";

export type Table = {
  title: string;
  note?: string;
  columns: string[];
  rows: (string | number | null)[][];
  /** Drawn as bars: this column, named by the columns of text before it; less is better. */
  bars?: { value: number; unit: string };
};
/** Both axes by factors of two. */
export type Curve = {
  title: string;
  x: string;
  y: string;
  series: { name: string; points: [x: number, y: number][] }[];
};
export type Findings = {
  comparisons?: Comparison[];
  tables?: Table[];
  curves?: Curve[];
  versions?: Record<string, Record<string, string>>;
};
export type Report = Findings & {
  suite: string;
  machine: Machine;
  seconds: number;
  /** False for what a run had found when it was ended. */
  complete: boolean;
  /** Why the suite itself stopped. */
  error?: string;
};

/** Choices of a run that suites share. */
export type RunOptions = {
  threads: readonly number[];
  pace: Pace;
  /** Milliseconds that a call may take; the first result may take twice that. */
  limitMs: number;
  /** A second Node that contenders also run on, and a Python with PyTorch. */
  otherNode: string | null;
  python: string | null;
  /** Only cases whose name contains this. */
  filter: string;
  /** Contenders to leave out, by the beginnings of their names. */
  without: readonly string[];
  log(text: string): void;
  /** Keeps what has been found so far: a long run that is ended loses nothing. */
  keep(findings: Findings): void;
};

export type Suite = { about: string; run(options: RunOptions): Promise<Findings> };
