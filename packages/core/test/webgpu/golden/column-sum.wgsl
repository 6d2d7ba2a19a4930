// workgroups 12 × 1 × 1, parameters 768 100 768 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<f32>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
var<workgroup> shared_f32: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let r = lid % 64u;
  let t = lid / 64u;
  let row = group * 64u + r;
  let live = row < u32(P[0].x);
  let at = min(row, u32(P[0].x) - 1u);
  let v0 = i32(at);
  let x0: i32 = v0;
  var a0_0: f32 = 0.0f;
  for (var i: i32 = i32(t) * 1; i < P[0].y; i += 4) {
    let u = u32(i);
    let v1 = i32(u);
    let ix0: i32 = x0 + v1 * P[0].z;
    let ix1: f32 = b0_0[ix0];
    a0_0 = (a0_0 + ix1);
  }
  shared_f32[lid] = a0_0;
  workgroupBarrier();
  if (t < 2u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 128u]); }
  workgroupBarrier();
  if (t < 1u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 64u]); }
  workgroupBarrier();
  let s0: f32 = shared_f32[r];
  workgroupBarrier();
  let x1: f32 = b0_0[x0];
  let x2: f32 = (s0 - x1);
  if (live && t == 0u) {
    b1_0[x0] = x2;
  }
}
