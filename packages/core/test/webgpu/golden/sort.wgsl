// workgroups 2 × 1 × 1, parameters 100 128 2 2 128 0 0 0
@group(0) @binding(0) var<storage, read> b0_0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1_0: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2_0: array<i32>;
@group(0) @binding(3) var<uniform> P: array<vec4<i32>, 2>;
struct Pair { key: i32, place: i32 }
fn after(a: Pair, b: Pair) -> bool { return a.key > b.key || (a.key == b.key && a.place > b.place); }
fn key_at(at: i32) -> i32 {
  let bits = bitcast<i32>(b0_0[at]);
  let ordered = bits ^ ((bits >> 31u) & 0x7fffffff);
  let key = select(select(ordered, 0, (bits & 0x7fffffff) == 0), 0x7fffffff, (bits & 0x7fffffff) > 0x7f800000);
  return key;
}
var<workgroup> pairs: array<Pair, 128>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
  let group = wid.x + wid.y * grid.x;
  if (group >= u32(P[0].z)) { return; }
  let base = i32(group) * 128;
  let row = base / P[0].y;
  let begin = base % P[0].y;
  for (var i = i32(lid); i < 128; i += 256) {
    let place = begin + i;
    var pair = Pair(0x7fffffff, place);
    if (place < P[0].x) { pair.key = key_at(row * P[0].x + place); }
    pairs[i] = pair;
  }
  workgroupBarrier();
  for (var size = P[0].w; size <= P[1].x; size *= 2) {
    for (var step = min(size, 128) / 2; step > 0; step /= 2) {
      for (var t = i32(lid); t < 64; t += 256) {
        let i = (t / step) * step * 2 + t % step;
        let up = ((begin + i) & size) == 0;
        let a = pairs[i];
        let b = pairs[i + step];
        if (after(a, b) == up) { pairs[i] = b; pairs[i + step] = a; }
      }
      workgroupBarrier();
    }
  }
  for (var i = i32(lid); i < 128; i += 256) {
    let place = begin + i;
    let pair = pairs[i];
    if (place < P[0].x) {
      let at = row * P[0].x + place;
      b1_0[at] = b0_0[row * P[0].x + pair.place];
      b2_0[at] = pair.place;
    }
  }
}
