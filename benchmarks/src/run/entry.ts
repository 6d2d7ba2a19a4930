/** Somebody who takes part. */
export type Entry = {
  /** As shown. */
  name: string;
  /** As `contenders/in-node.ts` or `contenders/in-browser.ts` knows it. */
  contender: string;
  /** npm packages whose versions are recorded. */
  packages: readonly string[];
  /** The Node to run it with; default this one. */
  node?: string;
  /** The Python of `torch_contender.py`. */
  python?: string;
  /** A page of headless Chromium; `webgpu` with an adapter. */
  browser?: { webgpu: boolean };
  /** Another form of ours, to be drawn as such. */
  own?: boolean;
};
