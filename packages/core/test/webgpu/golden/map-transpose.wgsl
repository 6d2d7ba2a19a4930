// workgroups 12 × 1 × 1, parameters 1536 64 96 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let t = group * 128u + lid;
  if (t >= u32(P[0].x)) { return; }
  let v1 = i32(t % 24u) * 4;
  let v1q = t / 24u;
  let v0 = i32(v1q);
  let x0: i32 = v0 + v1 * P[0].y;
  let x1: f32 = b0_0[x0];
  let x2: i32 = x0 + 64;
  let x3: f32 = b0_0[x2];
  let x4: i32 = x0 + 128;
  let x5: f32 = b0_0[x4];
  let x6: i32 = x0 + 192;
  let x7: f32 = b0_0[x6];
  let x8: i32 = v0 * P[0].z + v1;
  b1_0[x8 >> 2u] = vec4<f32>(x1, x3, x5, x7);
}
