// workgroups 64 × 1 × 1, parameters 64 512 -8388608 512 512 512 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 2>;
var<workgroup> shared_f32: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let r = lid / 64u;
  let t = lid % 64u;
  let row = group * 1u + r;
  let live = row < u32(P[0].x);
  let at = min(row, u32(P[0].x) - 1u);
  let v0 = i32(at);
  let x0: i32 = v0 * P[0].w;
  var a0_0: f32 = bitcast<f32>(P[0].z);
  var a0_1: f32 = bitcast<f32>(P[0].z);
  var a0_2: f32 = bitcast<f32>(P[0].z);
  var a0_3: f32 = bitcast<f32>(P[0].z);
  for (var i: i32 = i32(t) * 4; i < P[0].y; i += 256) {
    let u = u32(i) / 4u;
    let v1 = i32(u) * 4;
    let ix0: i32 = x0 + v1;
    let ix1: vec4<f32> = b0_0[ix0 >> 2u];
    a0_0 = max(a0_0, ix1.x);
    a0_1 = max(a0_1, ix1.y);
    a0_2 = max(a0_2, ix1.z);
    a0_3 = max(a0_3, ix1.w);
  }
  shared_f32[lid] = (max((max((max(a0_0, a0_1)), a0_2)), a0_3));
  workgroupBarrier();
  if (t < 32u) { shared_f32[lid] = max(shared_f32[lid], shared_f32[lid + 32u]); }
  workgroupBarrier();
  if (t < 16u) { shared_f32[lid] = max(shared_f32[lid], shared_f32[lid + 16u]); }
  workgroupBarrier();
  if (t < 8u) { shared_f32[lid] = max(shared_f32[lid], shared_f32[lid + 8u]); }
  workgroupBarrier();
  if (t < 4u) { shared_f32[lid] = max(shared_f32[lid], shared_f32[lid + 4u]); }
  workgroupBarrier();
  if (t < 2u) { shared_f32[lid] = max(shared_f32[lid], shared_f32[lid + 2u]); }
  workgroupBarrier();
  if (t < 1u) { shared_f32[lid] = max(shared_f32[lid], shared_f32[lid + 1u]); }
  workgroupBarrier();
  let s0: f32 = shared_f32[r * 64u];
  workgroupBarrier();
  var a1_0: f32 = 0.0f;
  var a1_1: f32 = 0.0f;
  var a1_2: f32 = 0.0f;
  var a1_3: f32 = 0.0f;
  for (var i: i32 = i32(t) * 4; i < P[1].x; i += 256) {
    let u = u32(i) / 4u;
    let v1 = i32(u) * 4;
    let ix0: i32 = x0 + v1;
    let ix1: vec4<f32> = b0_0[ix0 >> 2u];
    let ix2: f32 = (ix1.x - s0);
    let ix3: f32 = exp(ix2);
    a1_0 = (a1_0 + ix3);
    let ix4: f32 = (ix1.y - s0);
    let ix5: f32 = exp(ix4);
    a1_1 = (a1_1 + ix5);
    let ix6: f32 = (ix1.z - s0);
    let ix7: f32 = exp(ix6);
    a1_2 = (a1_2 + ix7);
    let ix8: f32 = (ix1.w - s0);
    let ix9: f32 = exp(ix8);
    a1_3 = (a1_3 + ix9);
  }
  shared_f32[lid] = ((((((a1_0 + a1_1)) + a1_2)) + a1_3));
  workgroupBarrier();
  if (t < 32u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 32u]); }
  workgroupBarrier();
  if (t < 16u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 16u]); }
  workgroupBarrier();
  if (t < 8u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 8u]); }
  workgroupBarrier();
  if (t < 4u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 4u]); }
  workgroupBarrier();
  if (t < 2u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 2u]); }
  workgroupBarrier();
  if (t < 1u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 1u]); }
  workgroupBarrier();
  let s1: f32 = shared_f32[r * 64u];
  workgroupBarrier();
  for (var i: i32 = i32(t) * 4; i < P[1].y; i += 256) {
    let u = u32(i) / 4u;
    let v1 = i32(u) * 4;
    let ix0: i32 = x0 + v1;
    let ix1: vec4<f32> = b0_0[ix0 >> 2u];
    let ix2: f32 = (ix1.x - s0);
    let ix3: f32 = exp(ix2);
    let ix4: f32 = (ix3 * s1);
    let ix5: f32 = (ix1.y - s0);
    let ix6: f32 = exp(ix5);
    let ix7: f32 = (ix6 * s1);
    let ix8: f32 = (ix1.z - s0);
    let ix9: f32 = exp(ix8);
    let ix10: f32 = (ix9 * s1);
    let ix11: f32 = (ix1.w - s0);
    let ix12: f32 = exp(ix11);
    let ix13: f32 = (ix12 * s1);
    b1_0[ix0 >> 2u] = vec4<f32>(ix4, ix7, ix10, ix13);
  }
}
