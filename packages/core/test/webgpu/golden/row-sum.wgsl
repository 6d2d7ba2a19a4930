// workgroups 100 × 1 × 1, parameters 100 768 768 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<f32>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
var<workgroup> shared_f32: array<f32, 128>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let r = lid / 128u;
  let t = lid % 128u;
  let row = group * 1u + r;
  let live = row < u32(P[0].x);
  let at = min(row, u32(P[0].x) - 1u);
  let v0 = i32(at);
  let x0: i32 = v0 * P[0].z;
  var a0_0: f32 = 0.0f;
  var a0_1: f32 = 0.0f;
  var a0_2: f32 = 0.0f;
  var a0_3: f32 = 0.0f;
  for (var i: i32 = i32(t) * 4; i < P[0].y; i += 512) {
    let u = u32(i) / 4u;
    let v1 = i32(u) * 4;
    let ix0: i32 = x0 + v1;
    let ix1: f32 = b0_0[ix0];
    a0_0 = (a0_0 + ix1);
    let ix2: i32 = ix0 + 1;
    let ix3: f32 = b0_0[ix2];
    a0_1 = (a0_1 + ix3);
    let ix4: i32 = ix0 + 2;
    let ix5: f32 = b0_0[ix4];
    a0_2 = (a0_2 + ix5);
    let ix6: i32 = ix0 + 3;
    let ix7: f32 = b0_0[ix6];
    a0_3 = (a0_3 + ix7);
  }
  shared_f32[lid] = ((((((a0_0 + a0_1)) + a0_2)) + a0_3));
  workgroupBarrier();
  if (t < 64u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 64u]); }
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
  let s0: f32 = shared_f32[r * 128u];
  workgroupBarrier();
  let x1: f32 = b0_0[x0];
  let x2: f32 = (s0 - x1);
  let x3: i32 = v0;
  if (live && t == 0u) {
    b1_0[x3] = x2;
  }
}
