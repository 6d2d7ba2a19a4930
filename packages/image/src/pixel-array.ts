/** Model input before it is a tensor: channels first, `shape` [3 H W]. */
export type PixelArray = { data: Float32Array; shape: [channels: number, height: number, width: number] };
