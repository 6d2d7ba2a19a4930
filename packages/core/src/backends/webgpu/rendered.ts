/** One dispatch, ready to compile: bindings are numbers of the schedule's buffers (or of scratch, after them). */
export type RenderedPass = {
  name: string;
  source: string;
  bindings: readonly number[];
  workgroups: readonly [number, number, number];
};
