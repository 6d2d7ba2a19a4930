import { expect, it } from "vitest";
import { Precedence } from "../../src/schedule/precedence.ts";

it("knows what comes before what, through any chain of links, in whichever order they are made", () => {
  let state = 7;
  const random = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const n = 90;
  const precedence = new Precedence();
  const after = Array.from({ length: n }, () => new Set<number>());
  const reaches = (from: number, to: number): boolean =>
    [...after[from]!].some((next) => next === to || reaches(next, to));
  for (let i = 0; i < 200; i++) {
    const [a, b] = [random(n), random(n)];
    if (a === b) continue;
    const [first, then] = [Math.min(a, b), Math.max(a, b)];
    precedence.add(first, then);
    after[then]!.add(first);
  }
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < n; b++) expect([a, b, precedence.has(a, b)]).toEqual([a, b, reaches(b, a)]);
  }
});

it("takes a bit for every pair, however long the chains are", () => {
  const before = process.memoryUsage().arrayBuffers;
  const precedence = new Precedence();
  const n = 600;
  for (let i = 1; i < n; i++) precedence.add(i - 1, i);
  expect(precedence.has(0, n - 1)).toBe(true);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20); // with all that the collector has not fetched
});
