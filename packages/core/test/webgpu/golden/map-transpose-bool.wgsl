// workgroups 1 × 1 × 1, parameters 15 6 6 6 6 10 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<u32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<u32>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 2>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let t = group * 128u + lid;
  if (t >= u32(P[0].x)) { return; }
  let t0 = t * 4u + 0u;
  let v0_1 = i32(t0 % 10u);
  let v0_1q = t0 / 10u;
  let v0_0 = i32(v0_1q);
  let t1 = t * 4u + 1u;
  let v1_1 = i32(t1 % 10u);
  let v1_1q = t1 / 10u;
  let v1_0 = i32(v1_1q);
  let t2 = t * 4u + 2u;
  let v2_1 = i32(t2 % 10u);
  let v2_1q = t2 / 10u;
  let v2_0 = i32(v2_1q);
  let t3 = t * 4u + 3u;
  let v3_1 = i32(t3 % 10u);
  let v3_1q = t3 / 10u;
  let v3_0 = i32(v3_1q);
  let x0: i32 = v0_0 + v0_1 * P[0].y;
  let x1: u32 = b0_0[x0 >> 2u];
  let x2: bool = (((x1 >> (8u * u32(x0 & 3))) & 255u) != 0u);
  let x3: i32 = v1_0 + v1_1 * P[0].z;
  let x4: u32 = b0_0[x3 >> 2u];
  let x5: bool = (((x4 >> (8u * u32(x3 & 3))) & 255u) != 0u);
  let x6: i32 = v2_0 + v2_1 * P[0].w;
  let x7: u32 = b0_0[x6 >> 2u];
  let x8: bool = (((x7 >> (8u * u32(x6 & 3))) & 255u) != 0u);
  let x9: i32 = v3_0 + v3_1 * P[1].x;
  let x10: u32 = b0_0[x9 >> 2u];
  let x11: bool = (((x10 >> (8u * u32(x9 & 3))) & 255u) != 0u);
  let x12: i32 = v0_0 * P[1].y + v0_1;
  b1_0[(x12 >> 2u)] = select(0u, 1u, x2) | (select(0u, 1u, x5) << 8u) | (select(0u, 1u, x8) << 16u) | (select(0u, 1u, x11) << 24u);
}
