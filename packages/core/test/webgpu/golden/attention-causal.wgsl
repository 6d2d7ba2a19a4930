// workgroups 8 × 1 × 1, parameters 2048 512 16 2048 512 16 2048 512 16 32 32 32 1040187392 32 32 2048 512 16 4 4 2 32 31 32 31 31 31 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2_0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> b3_0: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> b4_0: array<f32>;
@group(0) @binding(5) var<uniform> P: array<vec4<i32>, 7>;
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
fn keys_of(batch: i32) -> i32 { return P[2].y; }
fn finish(batch: i32, head: i32, n: i32, m: i32, product: f32) -> f32 {
  if (m > n + P[2].z - P[2].w) { return -1e30f; }
  return product * bitcast<f32>(P[3].x);
}
fn end_for(batch: i32, n: i32) -> i32 { return min(keys_of(batch), n + 1 + P[2].z - P[3].y); }
fn first_for(batch: i32, m: i32) -> i32 { return max(0, m - P[2].z + P[3].z); }
fn y_at(i0: i32, i1: i32, i2: i32) -> i32 { return i0 * P[3].w + i1 * P[4].x + i2 * P[4].y; }
var<workgroup> keys: array<vec4f, 256>;
var<workgroup> values: array<vec4f, 256>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let block = i32(group % u32(1)) * 64;
  let above = i32(group / u32(1));
  let head = above % P[4].z;
  let batch = above / P[4].w;
  if (batch >= P[5].x) { return; }
  let own = block + i32(lid);
  let live = own < P[5].y;
  let at = min(own, P[5].z);
  let row = above * P[5].w + at;
  let shared_head = head / 1;
  var query: array<vec4f, 16>;
  var sum: array<vec4f, 16>;
  let own_query = q_at(batch, head, at);
  for (var d = 0; d < 16; d++) { query[d] = q(own_query + d); }
  var greatest = -1e30f;
  var total = 0.0;
  let end = end_for(batch, min(block + 63, P[6].x));
  for (var m0 = 0; m0 < end; m0 += 16) {
    for (var u = i32(lid); u < 256; u += 64) { keys[u] = k(k_at(batch, shared_head, min(m0 + u / 16, P[6].y)) + u % 16); }
    for (var u = i32(lid); u < 256; u += 64) { values[u] = v(v_at(batch, shared_head, min(m0 + u / 16, P[6].z)) + u % 16); }
    workgroupBarrier();
    let count = min(16, end - m0);
    var scores: array<f32, 16>;
    var most = greatest;
    for (var j = 0; j < count; j++) {
      var product = vec4f(); for (var d = 0; d < 16; d++) { product = fma(query[d], keys[j * 16 + d], product); }
      let s = finish(batch, head, at, m0 + j, dot(product, vec4f(1.0)));
      scores[j] = s;
      most = max(most, s);
    }
    let shrink = exp(greatest - most);
    total *= shrink;
    for (var d = 0; d < 16; d++) { sum[d] *= shrink; }
    greatest = most;
    for (var j = 0; j < count; j++) {
      let p = select(exp(scores[j] - most), 0.0, scores[j] <= -1e30f);
      total += p;
      for (var d = 0; d < 16; d++) { sum[d] = fma(vec4f(p), values[j * 16 + d], sum[d]); }
    }
    workgroupBarrier();
  }
  if (live) {
    let share = select(0.0, 1.0 / total, total > 0.0);
    for (var d = 0; d < 16; d++) {
      let out = sum[d] * share;
      b3_0[y_at(batch, head, at) + d] = out;
    }
    b4_0[row] = select(-1e30f, greatest + log(total), total > 0.0);
  }
}
