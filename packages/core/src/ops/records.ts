/** Every op record, for the conformance suite and the support table. Nothing of the library imports this file. */
import type { ContractOp, ElementwiseOp, KernelOp, ReduceOp, TakeOp, ViewOp } from "../op.ts";
import { reluOp, sigmoidOp, softplusOp } from "./activation.ts";
import { addOp, divOp, maximumOp, minimumOp, mulOp, negOp, subOp } from "./arithmetic.ts";
import { attentionBackwardOp, attentionOp } from "./attention.ts";
import { andOp, bitcastOp, notOp, orOp, shiftLeftOp, shiftRightOp, xorOp } from "./bits.ts";
import { castOp } from "./cast.ts";
import { eqOp, geOp, gtOp, leOp, ltOp, neOp, whereOp } from "./compare.ts";
import { contractOp } from "./contract.ts";
import { convolutionInputOp, convolutionOp, convolutionWeightOp } from "./convolution.ts";
import { crossEntropyOp } from "./cross-entropy.ts";
import { erfinvOp, erfOp } from "./error-function.ts";
import { expm1Op, expOp, log1pOp, logOp } from "./exponential.ts";
import { tanhOp } from "./hyperbolic.ts";
import { normalizeOp } from "./norm.ts";
import { powOp, rsqrtOp } from "./power.ts";
import { maxOp, minOp, prodOp, sumOp } from "./reduce.ts";
import { remOp } from "./remainder.ts";
import { absOp, ceilOp, floorOp, roundOp, truncOp } from "./rounding.ts";
import { scanOp } from "./scan.ts";
import { scatterOp } from "./scatter.ts";
import { signOp } from "./sign.ts";
import { logSoftmaxOp, logsumexpOp, softmaxOp } from "./softmax.ts";
import { sortOp } from "./sort.ts";
import { sqrtOp } from "./sqrt.ts";
import { takeOp } from "./take.ts";
import { threefryBitsOp, threefryHighOp, threefryLowOp } from "./threefry.ts";
import { atanOp, cosOp, sinOp } from "./trigonometric.ts";
import { collectOp, dilateOp, expandOp, padOp, permuteOp, reshapeOp, sliceOp, spreadOp, windowOp } from "./view.ts";

export const ELEMENTWISE: readonly ElementwiseOp[] = [
  addOp,
  subOp,
  mulOp,
  divOp,
  remOp,
  negOp,
  maximumOp,
  minimumOp,
  absOp,
  signOp,
  floorOp,
  ceilOp,
  truncOp,
  roundOp,
  eqOp,
  neOp,
  ltOp,
  leOp,
  gtOp,
  geOp,
  whereOp,
  castOp,
  bitcastOp,
  andOp,
  orOp,
  xorOp,
  notOp,
  shiftLeftOp,
  shiftRightOp,
  expOp,
  expm1Op,
  logOp,
  log1pOp,
  sqrtOp,
  rsqrtOp,
  powOp,
  sinOp,
  cosOp,
  atanOp,
  tanhOp,
  erfOp,
  erfinvOp,
  sigmoidOp,
  softplusOp,
  reluOp,
  threefryHighOp,
  threefryLowOp,
  threefryBitsOp,
];

export const REDUCTIONS: readonly ReduceOp[] = [sumOp, maxOp, minOp, prodOp];

export const KERNELS: readonly KernelOp[] = [
  scanOp,
  sortOp,
  scatterOp,
  softmaxOp,
  logSoftmaxOp,
  logsumexpOp,
  normalizeOp,
  crossEntropyOp,
  attentionOp,
  attentionBackwardOp,
  convolutionOp,
  convolutionInputOp,
  convolutionWeightOp,
];

export const VIEWS: readonly ViewOp[] = [
  reshapeOp,
  permuteOp,
  expandOp,
  sliceOp,
  padOp,
  dilateOp,
  windowOp,
  spreadOp,
  collectOp,
];

export const OTHERS: readonly (ContractOp | TakeOp)[] = [contractOp, takeOp];
