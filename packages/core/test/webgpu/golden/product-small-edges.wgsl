// workgroups 1 × 1 × 1, parameters 18 29 18 29 28 18 18 29 29 30 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read> b1_0: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2_0: array<f32>;
@group(0) @binding(3) var<uniform> P: array<vec4<i32>, 3>;
fn load_a(z: i32, own: i32, k: i32) -> f32 {
  if (k >= P[0].z) { return f32(); }
  let f = min(own, P[0].y);
  let x0: i32 = f * P[0].x + k;
  let x1: f32 = b0_0[x0];
  return x1;
}
fn load_b(z: i32, own: i32, k: i32) -> f32 {
  if (k >= P[1].y) { return f32(); }
  let f = min(own, P[1].x);
  let x0: i32 = f + k * P[0].w;
  let x1: f32 = b1_0[x0];
  return x1;
}
var<workgroup> tile_a: array<vec4<f32>, 128>;
var<workgroup> tile_b: array<vec4<f32>, 128>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let column0 = i32(group % u32(1)) * 32;
  let row0 = i32((group / u32(1)) % u32(1)) * 32;
  let depth = group / u32(1);
  if (depth >= u32(1)) { return; }
  let tx = i32(lid) % 8; let ty = i32(lid) / 8;
  let z = i32(depth);
  var c0_0 = vec4<f32>();
  var c1_0 = vec4<f32>();
  var c2_0 = vec4<f32>();
  var c3_0 = vec4<f32>();
  for (var k0: i32 = 0; k0 < P[1].z; k0 += 16) {
    for (var u = i32(lid); u < 128; u += 64) {
      let kk = k0 + u / 8; let f = row0 + (u % 8) * 4;
      tile_a[u] = vec4<f32>(load_a(z, f + 0, kk), load_a(z, f + 1, kk), load_a(z, f + 2, kk), load_a(z, f + 3, kk));
    }
    for (var u = i32(lid); u < 128; u += 64) {
      let kk = k0 + u / 8; let f = column0 + (u % 8) * 4;
      tile_b[u] = vec4<f32>(load_b(z, f + 0, kk), load_b(z, f + 1, kk), load_b(z, f + 2, kk), load_b(z, f + 3, kk));
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
    if (row < P[2].y) {
      for (var j = 0; j < 1; j++) {
        let first_column = column0 + (tx + j * 8) * 4;
        for (var lane = 0; lane < 4; lane++) {
          let column = first_column + lane;
          if (column < P[2].x) {
            let c = sums[i * 1 + j][lane];
            let x0: i32 = row * P[1].w + column;
            b2_0[x0] = c;
          }
        }
      }
    }
  }
}
