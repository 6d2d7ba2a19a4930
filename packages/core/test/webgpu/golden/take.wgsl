// workgroups 2 × 1 × 1, parameters 160 32 100 2143289344 32 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<i32>;
@group(0) @binding(2) var<storage, read_write> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> P: array<vec4<i32>, 2>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let t = group * 128u + lid;
  if (t >= u32(P[0].x)) { return; }
  let v1 = i32(t % 8u) * 4;
  let v1q = t / 8u;
  let v0 = i32(v1q);
  let x0: i32 = v0;
  let x1: i32 = b1_0[x0];
  let x3: i32 = max(x1, i32(0));
  let x4: i32 = i32(x3);
  let x5: i32 = x4 * P[0].y + v1;
  let x6: vec4<f32> = b0_0[x5 >> 2u];
  let x7: i32 = i32(x1);
  let x8: i32 = x7;
  let x11: f32 = select(bitcast<f32>(P[0].w), x6.x, u32(x8) < u32(P[0].z));
  let x12: f32 = select(bitcast<f32>(P[0].w), x6.y, u32(x8) < u32(P[0].z));
  let x13: f32 = select(bitcast<f32>(P[0].w), x6.z, u32(x8) < u32(P[0].z));
  let x14: f32 = select(bitcast<f32>(P[0].w), x6.w, u32(x8) < u32(P[0].z));
  let x15: i32 = v0 * P[1].x + v1;
  b2_0[x15 >> 2u] = vec4<f32>(x11, x12, x13, x14);
}
