// workgroups 64 × 1 × 1, parameters 16384 1048576 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<f32>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
var<workgroup> shared_f32: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let r = lid / 256u;
  let t = lid % 256u;
  let part = group / u32(1);
  let rowGroup = group % u32(1);
  let first = i32(part) * P[0].x;
  let last = min(first + P[0].x, P[0].y);
  let row = rowGroup * 1u + r;
  let live = row < u32(1);
  let at = min(row, u32(1) - 1u);
  var a0_0: f32 = 0.0f;
  var a0_1: f32 = 0.0f;
  var a0_2: f32 = 0.0f;
  var a0_3: f32 = 0.0f;
  for (var i: i32 = first + i32(t) * 4; i < last; i += 1024) {
    let u = u32(i) / 4u;
    let v1 = i32(u) * 4;
    let ix0: i32 = v1;
    let ix1: vec4<f32> = b0_0[ix0 >> 2u];
    a0_0 = (a0_0 + ix1.x);
    a0_1 = (a0_1 + ix1.y);
    a0_2 = (a0_2 + ix1.z);
    a0_3 = (a0_3 + ix1.w);
  }
  shared_f32[lid] = ((((((a0_0 + a0_1)) + a0_2)) + a0_3));
  workgroupBarrier();
  if (t < 128u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 128u]); }
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
  let s0: f32 = shared_f32[r * 256u];
  workgroupBarrier();
  if (live && t == 0u) {
    b1_0[i32(part * u32(1) + row)] = s0;
  }
}

// workgroups 1 × 1 × 1, parameters 64 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1_0: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2_0: array<f32>;
@group(0) @binding(3) var<uniform> P: array<vec4<i32>, 1>;
var<workgroup> shared_f32: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let r = lid / 8u;
  let t = lid % 8u;
  let row = group * 8u + r;
  let live = row < u32(1);
  let at = min(row, u32(1) - 1u);
  var a0_0: f32 = 0.0f;
  var a0_1: f32 = 0.0f;
  var a0_2: f32 = 0.0f;
  var a0_3: f32 = 0.0f;
  for (var i: i32 = i32(t) * 4; i < P[0].x; i += 32) {
    let u = u32(i) / 4u;
    let v1 = i32(u) * 4;
    let ix0: i32 = v1;
    let ix1: vec4<f32> = b0_0[ix0 >> 2u];
    a0_0 = (a0_0 + ix1.x);
    a0_1 = (a0_1 + ix1.y);
    a0_2 = (a0_2 + ix1.z);
    a0_3 = (a0_3 + ix1.w);
  }
  shared_f32[lid] = ((((((a0_0 + a0_1)) + a0_2)) + a0_3));
  workgroupBarrier();
  if (t < 4u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 4u]); }
  workgroupBarrier();
  if (t < 2u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 2u]); }
  workgroupBarrier();
  if (t < 1u) { shared_f32[lid] = (shared_f32[lid] + shared_f32[lid + 1u]); }
  workgroupBarrier();
  let s0: f32 = shared_f32[r * 8u];
  workgroupBarrier();
  let x0: f32 = b1_0[0];
  let x1: f32 = (s0 - x0);
  if (live && t == 0u) {
    b2_0[0] = x1;
  }
}
