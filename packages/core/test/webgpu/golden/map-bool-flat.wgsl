// workgroups 1 × 1 × 1, parameters 4 5 5 5 5 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read> b1_0: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2_0: array<u32>;
@group(0) @binding(3) var<uniform> P: array<vec4<i32>, 2>;
fn op_to_i32(x: f32) -> i32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { return 0; }
  return select(i32(clamp(x, -2147483648.0, 2147483520.0)), 2147483647, x >= 2147483648.0);
}
fn op_to_u32(x: f32) -> u32 {
  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  return select(u32(clamp(x, 0.0, 4294967040.0)), 4294967295u, x >= 4294967296.0);
}
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let t = group * 128u + lid;
  if (t >= u32(P[0].x)) { return; }
  let t0 = t * 4u + 0u;
  let v0_1 = i32(t0 % 5u);
  let v0_1q = t0 / 5u;
  let v0_0 = i32(v0_1q);
  let t1 = t * 4u + 1u;
  let v1_1 = i32(t1 % 5u);
  let v1_1q = t1 / 5u;
  let v1_0 = i32(v1_1q);
  let t2 = t * 4u + 2u;
  let v2_1 = i32(t2 % 5u);
  let v2_1q = t2 / 5u;
  let v2_0 = i32(v2_1q);
  let t3 = t * 4u + 3u;
  let v3_1 = i32(t3 % 5u);
  let v3_1q = t3 / 5u;
  let v3_0 = i32(v3_1q);
  let x0: i32 = v0_0 * P[0].y + v0_1;
  let x1: f32 = b0_0[x0];
  let x2: i32 = v0_1;
  let x3: f32 = b1_0[x2];
  let x4: f32 = (x1 - x3);
  let x5: bool = bool(x4);
  let x6: i32 = v1_0 * P[0].z + v1_1;
  let x7: f32 = b0_0[x6];
  let x8: i32 = v1_1;
  let x9: f32 = b1_0[x8];
  let x10: f32 = (x7 - x9);
  let x11: bool = bool(x10);
  let x12: i32 = v2_0 * P[0].w + v2_1;
  let x13: f32 = b0_0[x12];
  let x14: i32 = v2_1;
  let x15: f32 = b1_0[x14];
  let x16: f32 = (x13 - x15);
  let x17: bool = bool(x16);
  let x18: i32 = v3_0 * P[1].x + v3_1;
  let x19: f32 = b0_0[x18];
  let x20: i32 = v3_1;
  let x21: f32 = b1_0[x20];
  let x22: f32 = (x19 - x21);
  let x23: bool = bool(x22);
  b2_0[(x0 >> 2u)] = select(0u, 1u, x5) | (select(0u, 1u, x11) << 8u) | (select(0u, 1u, x17) << 16u) | (select(0u, 1u, x23) << 24u);
}
