// workgroups 2 × 1 × 1, parameters 8 100 0 0
@group(0) @binding(0) var<storage, read_write> b0_0: array<u32>;
@group(0) @binding(1) var<uniform> P: array<vec4<i32>, 1>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let v = i32(group * 64u + lid);
  if (v < P[0].y) { b0_0[v] = u32(P[0].x); }
}

// workgroups 1 × 1 × 1, parameters 8 100 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<i32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let n = i32(group * 64u + lid);
  if (n >= P[0].x) { return; }
  let row = b0_0[n];
  if (row >= 0 && row < P[0].y) { atomicMin(&b1_0[row], u32(n)); }
}

// workgroups 1 × 1 × 1, parameters 8 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<i32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<i32>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let n = i32(group * 64u + lid);
  if (n >= P[0].x) { return; }
  let row = b0_0[n];
  var m = n + 1;
  while (m < P[0].x) {
    if (b0_0[m] == row) { break; }
    m++;
  }
  b1_0[n] = m;
}

// workgroups 25 × 1 × 1, parameters 16 16 8 16 1600 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read> b1_0: array<u32>;
@group(0) @binding(2) var<storage, read> b2_0: array<i32>;
@group(0) @binding(3) var<storage, read_write> b3_0: array<f32>;
@group(0) @binding(4) var<uniform> P: array<vec4<i32>, 2>;
fn element(e: i32) -> f32 {
  let d = e % P[0].x;
  var value = f32(0);
  var n = i32(b1_0[e / P[0].y]);
  while (n < P[0].z) {
    value = value + b0_0[(n * P[0].w + d)];
    n = b2_0[n];
  }
  return value;
}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let w = i32(group * 64u + lid);
  if (w < P[1].x) { b3_0[w] = element(w); }
}
