// workgroups 8 × 1 × 1, parameters 32 32 32 1040187392 32 32 1040187392 4 4 2 32 31 32 4 32 31 4095 4095 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b3_0: array<f32>;
@group(0) @binding(4) var<storage, read> b4_0: array<f32>;
@group(0) @binding(5) var<storage, read> b5_0: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> b6_0: array<vec4<f32>>;
@group(0) @binding(7) var<uniform> P: array<vec4<i32>, 5>;
fn q(i: i32) -> vec4f {
  return b0_0[i];
}
fn k(i: i32) -> vec4f {
  return b1_0[i];
}
fn v(i: i32) -> vec4f {
  return b2_0[i];
}
fn dy(i: i32) -> vec4f {
  return b5_0[i];
}
fn keys_of(batch: i32) -> i32 { return P[0].x; }
fn finish(batch: i32, head: i32, n: i32, m: i32, product: f32) -> f32 {
  if (m > n + P[0].y - P[0].z) { return -1e30f; }
  return product * bitcast<f32>(P[0].w);
}
fn end_for(batch: i32, n: i32) -> i32 { return min(keys_of(batch), n + 1 + P[0].y - P[1].x); }
fn first_for(batch: i32, m: i32) -> i32 { return max(0, m - P[0].y + P[1].y); }
var<workgroup> keys: array<vec4f, 256>;
var<workgroup> values: array<vec4f, 256>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let block = i32(group % u32(1)) * 64;
  let above = i32(group / u32(1));
  let head = above % P[1].w;
  let batch = above / P[2].x;
  if (batch >= P[2].y) { return; }
  let own = block + i32(lid);
  let live = own < P[2].z;
  let at = min(own, P[2].w);
  let row = above * P[3].x + at;
  let first = (batch * P[3].y + head / 1) * P[3].z;
  var query: array<vec4f, 16>;
  var sum: array<vec4f, 16>;
  var above_row: array<vec4f, 16>;
  for (var d = 0; d < 16; d++) { query[d] = q(row * 16 + d); }
  for (var d = 0; d < 16; d++) { above_row[d] = dy(row * 16 + d); }
  let end = end_for(batch, min(block + 63, P[3].w));
  for (var m0 = 0; m0 < end; m0 += 16) {
    for (var u = i32(lid); u < 256; u += 64) { keys[u] = k(min((first + m0) * 16 + u, P[4].x)); }
    for (var u = i32(lid); u < 256; u += 64) { values[u] = v(min((first + m0) * 16 + u, P[4].y)); }
    workgroupBarrier();
    let count = min(16, end - m0);
    for (var j = 0; j < count; j++) {
      var product = vec4f(); for (var d = 0; d < 16; d++) { product = fma(query[d], keys[j * 16 + d], product); }
      var gain = vec4f(); for (var d = 0; d < 16; d++) { gain = fma(above_row[d], values[j * 16 + d], gain); }
      let s = finish(batch, head, at, m0 + j, dot(product, vec4f(1.0)));
      let p = select(exp(s - b3_0[row]), 0.0, s <= -1e30f);
      let ds = p * (dot(gain, vec4f(1.0)) - b4_0[row]) * bitcast<f32>(P[1].z);
      for (var d = 0; d < 16; d++) { sum[d] = fma(vec4f(ds), keys[j * 16 + d], sum[d]); }
    }
    workgroupBarrier();
  }
  if (live) {
    for (var d = 0; d < 16; d++) {
      let out = sum[d];
      b6_0[row * 16 + d] = out;
    }
  }
}

// workgroups 8 × 1 × 1, parameters 32 32 32 1040187392 32 32 1040187392 4 4 2 32 31 32 4 32 32 4095 4095 32 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b3_0: array<f32>;
@group(0) @binding(4) var<storage, read> b4_0: array<f32>;
@group(0) @binding(5) var<storage, read> b5_0: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> b6_0: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> b7_0: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> P: array<vec4<i32>, 5>;
fn q(i: i32) -> vec4f {
  return b0_0[i];
}
fn k(i: i32) -> vec4f {
  return b1_0[i];
}
fn v(i: i32) -> vec4f {
  return b2_0[i];
}
fn dy(i: i32) -> vec4f {
  return b5_0[i];
}
fn keys_of(batch: i32) -> i32 { return P[0].x; }
fn finish(batch: i32, head: i32, n: i32, m: i32, product: f32) -> f32 {
  if (m > n + P[0].y - P[0].z) { return -1e30f; }
  return product * bitcast<f32>(P[0].w);
}
fn end_for(batch: i32, n: i32) -> i32 { return min(keys_of(batch), n + 1 + P[0].y - P[1].x); }
fn first_for(batch: i32, m: i32) -> i32 { return max(0, m - P[0].y + P[1].y); }
var<workgroup> queries: array<vec4f, 256>;
var<workgroup> above_rows: array<vec4f, 256>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let block = i32(group % u32(1)) * 64;
  let above = i32(group / u32(1));
  let shared_head = above % P[1].w;
  let batch = above / P[2].x;
  if (batch >= P[2].y) { return; }
  let own = block + i32(lid);
  let live = own < P[2].z;
  let at = min(own, P[2].w);
  let row = above * P[3].x + at;
  var key: array<vec4f, 16>;
  var value: array<vec4f, 16>;
  var key_sum: array<vec4f, 16>;
  var value_sum: array<vec4f, 16>;
  for (var d = 0; d < 16; d++) { key[d] = k(row * 16 + d); }
  for (var d = 0; d < 16; d++) { value[d] = v(row * 16 + d); }
  let start = (first_for(batch, block) / 16) * 16;
  for (var r = 0; r < 1; r++) {
    let head = shared_head * 1 + r;
    let first = (batch * P[3].y + head) * P[3].z;
    for (var n0 = start; n0 < P[3].w; n0 += 16) {
      for (var u = i32(lid); u < 256; u += 64) { queries[u] = q(min((first + n0) * 16 + u, P[4].x)); }
      for (var u = i32(lid); u < 256; u += 64) { above_rows[u] = dy(min((first + n0) * 16 + u, P[4].y)); }
      workgroupBarrier();
      let count = min(16, P[4].z - n0);
      for (var j = 0; j < count; j++) {
      var product = vec4f(); for (var d = 0; d < 16; d++) { product = fma(key[d], queries[j * 16 + d], product); }
      var gain = vec4f(); for (var d = 0; d < 16; d++) { gain = fma(above_rows[j * 16 + d], value[d], gain); }
      let s = finish(batch, head, n0 + j, at, dot(product, vec4f(1.0)));
      let p = select(exp(s - b3_0[first + n0 + j]), 0.0, s <= -1e30f);
      let ds = p * (dot(gain, vec4f(1.0)) - b4_0[first + n0 + j]) * bitcast<f32>(P[1].z);
      for (var d = 0; d < 16; d++) { value_sum[d] = fma(vec4f(p), above_rows[j * 16 + d], value_sum[d]); }
      for (var d = 0; d < 16; d++) { key_sum[d] = fma(vec4f(ds), queries[j * 16 + d], key_sum[d]); }
      }
      workgroupBarrier();
    }
  }
  if (live) {
    for (var d = 0; d < 16; d++) {
      let out = key_sum[d];
      b6_0[row * 16 + d] = out;
    }
    for (var d = 0; d < 16; d++) {
      let out = value_sum[d];
      b7_0[row * 16 + d] = out;
    }
  }
}
