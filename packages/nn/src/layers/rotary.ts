/** Rotary position embedding, Su et al. 2021, arXiv:2104.09864. */
import { concat, type Tensor, tensor } from "@vlm/core";

/** How positions turn queries and keys. */
export type RotaryConfig = {
  /** Base of the frequencies. Default 10,000. */
  theta?: number;
  /** How many of a head's channels turn, from the first. Default all. */
  channels?: number;
  /** Pairs are neighbours (GPT-J, the paper) instead of halves (Llama, GPT-NeoX). Default false. */
  interleaved?: boolean;
};

/**
 * Turns pairs of channels by position·θ^(−2i/d), eq. 34: x [B H N d] and positions (integer or f32) [N] or [B N] give
 * [B H N d].
 */
export function applyRotary(x: Tensor, positions: Tensor, config: RotaryConfig = {}): Tensor {
  const width = x.shape[x.rank - 1]!;
  const { theta = 10_000, channels = width, interleaved = false } = config;
  const half = channels / 2;
  const frequencies = tensor(Float32Array.from({ length: half }, (_, i) => theta ** (-i / half)));
  // [N] → [N half]; [B N] → [B 1 N half], one angle for all heads.
  const angles = positions.cast("f32").unsqueeze(-1).mul(frequencies);
  const turn = positions.rank === 2 ? angles.unsqueeze(1) : angles;
  const [cos, sin] = [turn.cos(), turn.sin()];
  const turned = channels === width ? x : x.slice(...leading(x), [0, channels]);
  const rest = channels === width ? [] : [x.slice(...leading(x), [channels, width])];
  if (interleaved) {
    const pairs = turned.reshape([...x.shape.slice(0, -1), half, 2]);
    const [a, b] = [pairs.slice(...leading(pairs), [0, 1]), pairs.slice(...leading(pairs), [1, 2])].map((part) =>
      part!.squeeze(-1),
    );
    const even = a!.mul(cos).sub(b!.mul(sin)).unsqueeze(-1);
    const odd = b!.mul(cos).add(a!.mul(sin)).unsqueeze(-1);
    const both = concat([even, odd], -1).reshape(turned.shape);
    return rest.length > 0 ? concat([both, ...rest], -1) : both;
  }
  const a = turned.slice(...leading(x), [0, half]);
  const b = turned.slice(...leading(x), [half, channels]);
  return concat([a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin)), ...rest], -1);
}

const leading = (x: Tensor): null[] => x.shape.slice(1).map(() => null);
