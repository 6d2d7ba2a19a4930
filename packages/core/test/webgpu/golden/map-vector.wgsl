// workgroups 2 × 1 × 1, parameters 256 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> P: array<vec4<i32>, 1>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  let t = group * 128u + lid;
  if (t >= u32(P[0].x)) { return; }
  let v0 = i32(t) * 4;
  let x0: i32 = v0;
  let x1: vec4<f32> = b0_0[x0 >> 2u];
  let x3: f32 = (x1.x * 2.5f);
  let x4: f32 = (x1.y * 2.5f);
  let x5: f32 = (x1.z * 2.5f);
  let x6: f32 = (x1.w * 2.5f);
  b1_0[x0 >> 2u] = vec4<f32>(x3, x4, x5, x6);
}
