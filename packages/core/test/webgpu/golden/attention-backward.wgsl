// workgroups 8 × 1 × 1, parameters 2048 512 16 2048 512 16 2048 512 16 2048 512 16 2048 512 16 32 32 32 1040187392 32 32 2048 512 16 1040187392 4 4 2 32 31 32 31 31 31 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b3_0: array<f32>;
@group(0) @binding(4) var<storage, read> b4_0: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> b5_0: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> b6_0: array<f32>;
@group(0) @binding(7) var<storage, read_write> b7_0: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> P: array<vec4<i32>, 9>;
fn q_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[0].x + i1 * P[0].y + i2 * P[0].z; }
fn q(i: i32) -> vec4f {
  return b0_0[i];
}
fn k_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[0].w + i1 * P[1].x + i2 * P[1].y; }
fn k(i: i32) -> vec4f {
  return b1_0[i];
}
fn v_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[1].z + i1 * P[1].w + i2 * P[2].x; }
fn v(i: i32) -> vec4f {
  return b2_0[i];
}
fn y_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[2].y + i1 * P[2].z + i2 * P[2].w; }
fn y(i: i32) -> vec4f {
  return b4_0[i];
}
fn dy_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[3].x + i1 * P[3].y + i2 * P[3].z; }
fn dy(i: i32) -> vec4f {
  return b5_0[i];
}
fn keys_of(batch: i32) -> i32 { return P[3].w; }
fn finish(batch: i32, head: i32, n: i32, m: i32, product: f32) -> f32 {
  if (m > n + P[4].x - P[4].y) { return -1e30f; }
  return product * bitcast<f32>(P[4].z);
}
fn end_for(batch: i32, n: i32) -> i32 { return min(keys_of(batch), n + 1 + P[4].x - P[4].w); }
fn first_for(batch: i32, m: i32) -> i32 { return max(0, m - P[4].x + P[5].x); }
fn dq_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[5].y + i1 * P[5].z + i2 * P[5].w; }
var<workgroup> keys: array<vec4f, 256>;
var<workgroup> values: array<vec4f, 256>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let block = i32(group % u32(1)) * 64;
  let above = i32(group / u32(1));
  let head = above % P[6].y;
  let batch = above / P[6].z;
  if (batch >= P[6].w) { return; }
  let own = block + i32(lid);
  let live = own < P[7].x;
  let at = min(own, P[7].y);
  let row = above * P[7].z + at;
  let shared_head = head / 1;
  var query: array<vec4f, 16>;
  var sum: array<vec4f, 16>;
  var above_row: array<vec4f, 16>;
  let own_query = q_at(batch, head, at);
  for (var d = 0; d < 16; d++) { query[d] = q(own_query + d); }
  let own_dy = dy_at(batch, head, at);
  let own_y = y_at(batch, head, at);
  var both = vec4f();
  for (var d = 0; d < 16; d++) { above_row[d] = dy(own_dy + d); both = fma(above_row[d], y(own_y + d), both); }
  let own_delta = dot(both, vec4f(1.0));
  let end = end_for(batch, min(block + 63, P[7].w));
  for (var m0 = 0; m0 < end; m0 += 16) {
    for (var u = i32(lid); u < 256; u += 64) { keys[u] = k(k_at(batch, shared_head, min(m0 + u / 16, P[8].x)) + u % 16); }
    for (var u = i32(lid); u < 256; u += 64) { values[u] = v(v_at(batch, shared_head, min(m0 + u / 16, P[8].y)) + u % 16); }
    workgroupBarrier();
    let count = min(16, end - m0);
    for (var j = 0; j < count; j++) {
      var product = vec4f(); for (var d = 0; d < 16; d++) { product = fma(query[d], keys[j * 16 + d], product); }
      var gain = vec4f(); for (var d = 0; d < 16; d++) { gain = fma(above_row[d], values[j * 16 + d], gain); }
      let s = finish(batch, head, at, m0 + j, dot(product, vec4f(1.0)));
      let p = select(exp(s - b3_0[row]), 0.0, s <= -1e30f);
      let ds = p * (dot(gain, vec4f(1.0)) - own_delta) * bitcast<f32>(P[6].x);
      for (var d = 0; d < 16; d++) { sum[d] = fma(vec4f(ds), keys[j * 16 + d], sum[d]); }
    }
    workgroupBarrier();
  }
  if (live) {
    b6_0[row] = own_delta;
    for (var d = 0; d < 16; d++) {
      let out = sum[d];
      b7_0[dq_at(batch, head, at) + d] = out;
    }
  }
}

// workgroups 8 × 1 × 1, parameters 2048 512 16 2048 512 16 2048 512 16 2048 512 16 32 32 32 1040187392 32 32 2048 512 16 2048 512 16 1040187392 4 4 2 32 31 32 4 32 32 31 31 32 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b3_0: array<f32>;
@group(0) @binding(4) var<storage, read> b4_0: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> b5_0: array<f32>;
@group(0) @binding(6) var<storage, read_write> b6_0: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> b7_0: array<vec4<f32>>;
@group(0) @binding(8) var<uniform> P: array<vec4<i32>, 10>;
fn q_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[0].x + i1 * P[0].y + i2 * P[0].z; }
fn q(i: i32) -> vec4f {
  return b0_0[i];
}
fn k_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[0].w + i1 * P[1].x + i2 * P[1].y; }
fn k(i: i32) -> vec4f {
  return b1_0[i];
}
fn v_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[1].z + i1 * P[1].w + i2 * P[2].x; }
fn v(i: i32) -> vec4f {
  return b2_0[i];
}
fn dy_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[2].y + i1 * P[2].z + i2 * P[2].w; }
fn dy(i: i32) -> vec4f {
  return b4_0[i];
}
fn keys_of(batch: i32) -> i32 { return P[3].x; }
fn finish(batch: i32, head: i32, n: i32, m: i32, product: f32) -> f32 {
  if (m > n + P[3].y - P[3].z) { return -1e30f; }
  return product * bitcast<f32>(P[3].w);
}
fn end_for(batch: i32, n: i32) -> i32 { return min(keys_of(batch), n + 1 + P[3].y - P[4].x); }
fn first_for(batch: i32, m: i32) -> i32 { return max(0, m - P[3].y + P[4].y); }
fn dk_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[4].z + i1 * P[4].w + i2 * P[5].x; }
fn dv_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[5].y + i1 * P[5].z + i2 * P[5].w; }
var<workgroup> queries: array<vec4f, 256>;
var<workgroup> above_rows: array<vec4f, 256>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let block = i32(group % u32(1)) * 64;
  let above = i32(group / u32(1));
  let shared_head = above % P[6].y;
  let batch = above / P[6].z;
  if (batch >= P[6].w) { return; }
  let own = block + i32(lid);
  let live = own < P[7].x;
  let at = min(own, P[7].y);
  let row = above * P[7].z + at;
  var key: array<vec4f, 16>;
  var value: array<vec4f, 16>;
  var key_sum: array<vec4f, 16>;
  var value_sum: array<vec4f, 16>;
  let own_key = k_at(batch, shared_head, at);
  let own_value = v_at(batch, shared_head, at);
  for (var d = 0; d < 16; d++) { key[d] = k(own_key + d); }
  for (var d = 0; d < 16; d++) { value[d] = v(own_value + d); }
  let start = (first_for(batch, block) / 16) * 16;
  for (var r = 0; r < 1; r++) {
    let head = shared_head * 1 + r;
    let first = (batch * P[7].w + head) * P[8].x;
    for (var n0 = start; n0 < P[8].y; n0 += 16) {
      for (var u = i32(lid); u < 256; u += 64) { queries[u] = q(q_at(batch, head, min(n0 + u / 16, P[8].z)) + u % 16); }
      for (var u = i32(lid); u < 256; u += 64) { above_rows[u] = dy(dy_at(batch, head, min(n0 + u / 16, P[8].w)) + u % 16); }
      workgroupBarrier();
      let count = min(16, P[9].x - n0);
      for (var j = 0; j < count; j++) {
      var product = vec4f(); for (var d = 0; d < 16; d++) { product = fma(key[d], queries[j * 16 + d], product); }
      var gain = vec4f(); for (var d = 0; d < 16; d++) { gain = fma(above_rows[j * 16 + d], value[d], gain); }
      let s = finish(batch, head, n0 + j, at, dot(product, vec4f(1.0)));
      let p = select(exp(s - b3_0[first + n0 + j]), 0.0, s <= -1e30f);
      let ds = p * (dot(gain, vec4f(1.0)) - b5_0[first + n0 + j]) * bitcast<f32>(P[6].x);
      for (var d = 0; d < 16; d++) { value_sum[d] = fma(vec4f(p), above_rows[j * 16 + d], value_sum[d]); }
      for (var d = 0; d < 16; d++) { key_sum[d] = fma(vec4f(ds), queries[j * 16 + d], key_sum[d]); }
      }
      workgroupBarrier();
    }
  }
  if (live) {
    for (var d = 0; d < 16; d++) {
      let out = key_sum[d];
      b6_0[dk_at(batch, shared_head, at) + d] = out;
    }
    for (var d = 0; d < 16; d++) {
      let out = value_sum[d];
      b7_0[dv_at(batch, shared_head, at) + d] = out;
    }
  }
}
