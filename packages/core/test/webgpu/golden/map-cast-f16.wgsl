// workgroups 1 × 1 × 1, parameters 25 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<i32>>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<u32>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
fn op_to_i32(x: f32) -> i32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { return 0; }
  return select(i32(clamp(x, -2147483648.0, 2147483520.0)), 2147483647, x >= 2147483648.0);
}
fn op_to_u32(x: f32) -> u32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  return select(u32(clamp(x, 0.0, 4294967040.0)), 4294967295u, x >= 4294967296.0);
}
fn to_f16(x: f32) -> u32 {
  let b = bitcast<u32>(x);
  let s = (b >> 16u) & 0x8000u;
  let m = b & 0x7fffffffu;
  if (m > 0x7f800000u) { return s | 0x7e00u; }
  if (m >= 0x477ff000u) { return s | 0x7c00u; }
  if (m < 0x38800000u) { return s | u32(round(abs(x) * 16777216.0)); }
  return s | ((m + 0xfffu + ((m >> 13u) & 1u) - 0x38000000u) >> 13u);
}
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let t = group * 128u + lid;
  if (t >= u32(P[0].x)) { return; }
  let v0 = i32(t) * 4;
  let x0: i32 = v0;
  let x1: vec4<i32> = b0_0[x0 >> 2u];
  let x2: f32 = f32(x1.x);
  let x3: f32 = f32(x1.y);
  let x4: f32 = f32(x1.z);
  let x5: f32 = f32(x1.w);
  b1_0[(x0 >> 1u)] = to_f16(x2) | (to_f16(x3) << 16u);
  b1_0[(x0 >> 1u) + 1] = to_f16(x4) | (to_f16(x5) << 16u);
}
