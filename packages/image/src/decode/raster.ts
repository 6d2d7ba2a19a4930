/** Pixels as a decoder found them, before the caller's wishes: colours are grey, RGB or CMYK, of 8 or 16 bits. */
export type Raster = {
  width: number;
  height: number;
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha, or CMYK when `cmyk`. */
  channels: 1 | 2 | 3 | 4;
  data: Uint8Array | Uint8ClampedArray | Uint16Array;
  cmyk?: boolean;
  /** Alpha was made from one transparent colour, not stored for each pixel. */
  keyed?: boolean;
};
