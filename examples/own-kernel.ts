/**
 * A WGSL kernel of your own, with its gradient.
 *
 *   npx tsx examples/own-kernel.ts                  on the best device there is
 *   npx tsx examples/own-kernel.ts --device webgpu  on a GPU (Node: npm i webgpu)
 *
 * The definition in tensor operations is the fallback on other devices, the gradient, and what the kernel is tested
 * against.
 */
import { parseArgs } from "node:util";
import { type DeviceName, defineKernel, grad, random, type Tensor, useDevice } from "@vlm/core";
import { program } from "./lib/program.ts";

/** x·σ(x), Ramachandran et al. 2017. */
const reference = (x: Tensor): Tensor => x.mul(x.sigmoid());

const swish = defineKernel({
  name: "swish",
  reference,
  webgpu: ({ wgsl, x, y }) => wgsl`
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x >= ${x.size}u) { return; }
      let v = ${x}[id.x];
      ${y}[id.x] = v / (1.0 + exp(-v));
    }`,
});

await program(async () => {
  const { values } = parseArgs({ options: { device: { type: "string" } } });
  if (values.device !== undefined) await useDevice(values.device as DeviceName);

  const x = random.normal(random.key(1), [64, 33]);
  const [fromKernel, fromReference] = [swish(x), reference(x)];
  console.log(`largest difference         ${await fromKernel.sub(fromReference).abs().max().item()}`);

  // Gradients need nothing more: they are those of the definition. Gradients of gradients too.
  const [dx] = grad(swish(x).square().sum(), [x]);
  const [expected] = grad(reference(x).square().sum(), [x]);
  console.log(`largest difference of dx   ${await dx.sub(expected).abs().max().item()}`);
  const [ddx] = grad(dx.sum(), [x]);
  console.log(`mean second derivative     ${(await ddx.mean().item()).toFixed(6)}`);
});
