// workgroups 16 × 1 × 1, parameters 256 255 256 252 4 4 4 16 256 256 256 256
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> P: array<vec4<i32>, 3>;
fn load_a(z: i32, own: i32, k: i32) -> vec4<f32> {
  let f = min(own, P[0].y);
  let x0: i32 = f * P[0].x + k;
  let x1: vec4<f32> = b0_0[x0 >> 2u];
  return vec4<f32>(x1.x, x1.y, x1.z, x1.w);
}
fn load_b(z: i32, own: i32, k: i32) -> vec4<f32> {
  let f = min(own, P[0].w);
  let x0: i32 = f + k * P[0].z;
  let x1: vec4<f32> = b1_0[x0 >> 2u];
  return vec4<f32>(x1.x, x1.y, x1.z, x1.w);
}
var<workgroup> tile_a: array<vec4<f32>, 256>;
var<workgroup> tile_b: array<vec4<f32>, 256>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let column0 = i32(group % u32(P[1].x)) * 64;
  let row0 = i32((group / u32(P[1].y)) % u32(P[1].z)) * 64;
  let depth = group / u32(P[1].w);
  if (depth >= u32(1)) { return; }
  let tx = i32(lid) % 8; let ty = i32(lid) / 8;
  let z = i32(depth);
  var c0_0 = vec4<f32>();
  var c0_1 = vec4<f32>();
  var c1_0 = vec4<f32>();
  var c1_1 = vec4<f32>();
  var c2_0 = vec4<f32>();
  var c2_1 = vec4<f32>();
  var c3_0 = vec4<f32>();
  var c3_1 = vec4<f32>();
  var c4_0 = vec4<f32>();
  var c4_1 = vec4<f32>();
  var c5_0 = vec4<f32>();
  var c5_1 = vec4<f32>();
  var c6_0 = vec4<f32>();
  var c6_1 = vec4<f32>();
  var c7_0 = vec4<f32>();
  var c7_1 = vec4<f32>();
  for (var k0: i32 = 0; k0 < P[2].x; k0 += 16) {
    {
      let u = i32(lid);
      let kq = u % 4; let fq = u / 4;
      let r0 = load_a(z, row0 + fq * 4 + 0, k0 + kq * 4);
      let r1 = load_a(z, row0 + fq * 4 + 1, k0 + kq * 4);
      let r2 = load_a(z, row0 + fq * 4 + 2, k0 + kq * 4);
      let r3 = load_a(z, row0 + fq * 4 + 3, k0 + kq * 4);
      tile_a[(kq * 4 + 0) * 16 + fq] = vec4<f32>(r0.x, r1.x, r2.x, r3.x);
      tile_a[(kq * 4 + 1) * 16 + fq] = vec4<f32>(r0.y, r1.y, r2.y, r3.y);
      tile_a[(kq * 4 + 2) * 16 + fq] = vec4<f32>(r0.z, r1.z, r2.z, r3.z);
      tile_a[(kq * 4 + 3) * 16 + fq] = vec4<f32>(r0.w, r1.w, r2.w, r3.w);
    }
    for (var u = i32(lid); u < 256; u += 64) {
      let kk = k0 + u / 16; let f = column0 + (u % 16) * 4;
      tile_b[u] = load_b(z, f, kk);
    }
    workgroupBarrier();
    for (var k = 0; k < 16; k++) {
      let a0 = tile_a[k * 16 + ty + 0];
      let a1 = tile_a[k * 16 + ty + 8];
      let b0 = tile_b[k * 16 + tx + 0];
      let b1 = tile_b[k * 16 + tx + 8];
      c0_0 += a0.x * b0;
      c0_1 += a0.x * b1;
      c1_0 += a0.y * b0;
      c1_1 += a0.y * b1;
      c2_0 += a0.z * b0;
      c2_1 += a0.z * b1;
      c3_0 += a0.w * b0;
      c3_1 += a0.w * b1;
      c4_0 += a1.x * b0;
      c4_1 += a1.x * b1;
      c5_0 += a1.y * b0;
      c5_1 += a1.y * b1;
      c6_0 += a1.z * b0;
      c6_1 += a1.z * b1;
      c7_0 += a1.w * b0;
      c7_1 += a1.w * b1;
    }
    workgroupBarrier();
  }
  var sums = array<vec4<f32>, 16>(c0_0, c0_1, c1_0, c1_1, c2_0, c2_1, c3_0, c3_1, c4_0, c4_1, c5_0, c5_1, c6_0, c6_1, c7_0, c7_1);
  for (var i = 0; i < 8; i++) {
    let row = row0 + ((i >> 2u) * 8 + ty) * 4 + (i & 3);
    if (row < P[2].w) {
      for (var j = 0; j < 2; j++) {
        let column = column0 + (tx + j * 8) * 4;
        let c = sums[i * 2 + j];
        if (column < P[2].z) {
          let x0: i32 = row * P[2].y + column;
          b2_0[x0 >> 2u] = vec4<f32>(c.x, c.y, c.z, c.w);
        }
      }
    }
  }
}
