// workgroups 2 × 1 × 1, parameters 16 128 16 -144 -1 8 -1 8 63 32 28 2 2 144 32 32 64 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> P: array<vec4<i32>, 5>;
fn load_a(z: i32, own: i32, k: i32) -> vec4<f32> {
  let f = min(own, P[2].x);
  let x0: i32 = k;
  let x1: i32 = i32(u32(x0) / 16u);
  let x2: i32 = x1;
  let x3: i32 = i32(u32(x2) % 3u);
  let x4: i32 = i32(u32(x0) % 16u);
  let x5: i32 = i32(u32(x0) / 48u);
  let x6: i32 = x3 * P[0].x + x4 + x5 * P[0].y + f * P[0].z + P[0].w;
  let x7: vec4<f32> = b0_0[x6 >> 2u];
  let x8: i32 = f;
  let x9: i32 = i32(u32(x8) / 8u);
  let x10: i32 = x9 + x5 + P[1].x;
  let x12: i32 = i32(u32(x8) % 8u);
  let x13: i32 = x3 + x12 + P[1].z;
  let x16: f32 = select(0.0f, x7.x, u32(x10) < u32(P[1].y) && u32(x13) < u32(P[1].w));
  let x17: f32 = select(0.0f, x7.y, u32(x10) < u32(P[1].y) && u32(x13) < u32(P[1].w));
  let x18: f32 = select(0.0f, x7.z, u32(x10) < u32(P[1].y) && u32(x13) < u32(P[1].w));
  let x19: f32 = select(0.0f, x7.w, u32(x10) < u32(P[1].y) && u32(x13) < u32(P[1].w));
  return vec4<f32>(x16, x17, x18, x19);
}
fn load_b(z: i32, own: i32, k: i32) -> vec4<f32> {
  let f = min(own, P[2].z);
  let x0: i32 = f + k * P[2].y;
  let x1: vec4<f32> = b1_0[x0 >> 2u];
  return vec4<f32>(x1.x, x1.y, x1.z, x1.w);
}
var<workgroup> tile_a: array<vec4<f32>, 128>;
var<workgroup> tile_b: array<vec4<f32>, 128>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let column0 = i32(group % u32(1)) * 32;
  let row0 = i32((group / u32(1)) % u32(P[2].w)) * 32;
  let depth = group / u32(P[3].x);
  if (depth >= u32(1)) { return; }
  let tx = i32(lid) % 8; let ty = i32(lid) / 8;
  let z = i32(depth);
  var c0_0 = vec4<f32>();
  var c1_0 = vec4<f32>();
  var c2_0 = vec4<f32>();
  var c3_0 = vec4<f32>();
  for (var k0: i32 = 0; k0 < P[3].y; k0 += 16) {
    for (var u = i32(lid); u < 32; u += 64) {
      let kq = u % 4; let fq = u / 4;
      let r0 = load_a(z, row0 + fq * 4 + 0, k0 + kq * 4);
      let r1 = load_a(z, row0 + fq * 4 + 1, k0 + kq * 4);
      let r2 = load_a(z, row0 + fq * 4 + 2, k0 + kq * 4);
      let r3 = load_a(z, row0 + fq * 4 + 3, k0 + kq * 4);
      tile_a[(kq * 4 + 0) * 8 + fq] = vec4<f32>(r0.x, r1.x, r2.x, r3.x);
      tile_a[(kq * 4 + 1) * 8 + fq] = vec4<f32>(r0.y, r1.y, r2.y, r3.y);
      tile_a[(kq * 4 + 2) * 8 + fq] = vec4<f32>(r0.z, r1.z, r2.z, r3.z);
      tile_a[(kq * 4 + 3) * 8 + fq] = vec4<f32>(r0.w, r1.w, r2.w, r3.w);
    }
    for (var u = i32(lid); u < 128; u += 64) {
      let kk = k0 + u / 8; let f = column0 + (u % 8) * 4;
      tile_b[u] = load_b(z, f, kk);
    }
    workgroupBarrier();
    for (var k = 0; k < 16; k++) {
      let a0 = tile_a[k * 8 + ty + 0];
      let b0 = tile_b[k * 8 + tx + 0];
      c0_0 += a0.x * b0;
      c1_0 += a0.y * b0;
      c2_0 += a0.z * b0;
      c3_0 += a0.w * b0;
    }
    workgroupBarrier();
  }
  var sums = array<vec4<f32>, 4>(c0_0, c1_0, c2_0, c3_0);
  for (var i = 0; i < 4; i++) {
    let row = row0 + ((i >> 2u) * 8 + ty) * 4 + (i & 3);
    if (row < P[4].x) {
      for (var j = 0; j < 1; j++) {
        let column = column0 + (tx + j * 8) * 4;
        let c = sums[i * 1 + j];
        if (column < P[3].w) {
          let x0: i32 = row * P[3].z + column;
          b2_0[x0 >> 2u] = vec4<f32>(c.x, c.y, c.z, c.w);
        }
      }
    }
  }
}
