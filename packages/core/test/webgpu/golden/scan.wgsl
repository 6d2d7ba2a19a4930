// workgroups 4 × 1 × 1, parameters 300 3 4 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<f32>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
var<workgroup> total: array<f32, 128>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let row = i32(group);
  if (row >= P[0].z) { return; }
  let first = min(i32(lid) * P[0].y, P[0].x);
  let last = min(first + P[0].y, P[0].x);
  var sum: f32 = 0.0f;
  for (var i = first; i < last; i++) { sum = (sum + b0_0[row * P[0].x + i]); }
  total[lid] = sum;
  workgroupBarrier();
  {
    var joined = total[lid];
    if (lid >= 1u) { joined = (total[lid - 1u] + joined); }
    workgroupBarrier();
    total[lid] = joined;
    workgroupBarrier();
  }
  {
    var joined = total[lid];
    if (lid >= 2u) { joined = (total[lid - 2u] + joined); }
    workgroupBarrier();
    total[lid] = joined;
    workgroupBarrier();
  }
  {
    var joined = total[lid];
    if (lid >= 4u) { joined = (total[lid - 4u] + joined); }
    workgroupBarrier();
    total[lid] = joined;
    workgroupBarrier();
  }
  {
    var joined = total[lid];
    if (lid >= 8u) { joined = (total[lid - 8u] + joined); }
    workgroupBarrier();
    total[lid] = joined;
    workgroupBarrier();
  }
  {
    var joined = total[lid];
    if (lid >= 16u) { joined = (total[lid - 16u] + joined); }
    workgroupBarrier();
    total[lid] = joined;
    workgroupBarrier();
  }
  {
    var joined = total[lid];
    if (lid >= 32u) { joined = (total[lid - 32u] + joined); }
    workgroupBarrier();
    total[lid] = joined;
    workgroupBarrier();
  }
  {
    var joined = total[lid];
    if (lid >= 64u) { joined = (total[lid - 64u] + joined); }
    workgroupBarrier();
    total[lid] = joined;
    workgroupBarrier();
  }
  sum = 0.0f;
  if (lid > 0u) { sum = total[lid - 1u]; }
  for (var i = first; i < last; i++) {
    let at = row * P[0].x + i;
    let value = b0_0[at];
    sum = (sum + value); b1_0[at] = sum;
  }
}
