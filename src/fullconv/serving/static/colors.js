// Numbers as colours: classes in theirs, shares as a ramp from dark to light.

export const VOID = 255;
export const CREAM = [224, 224, 192]; // VOC's colour of void

const RAMP = [[12, 7, 60], [90, 18, 110], [165, 44, 96], [229, 92, 48], [251, 179, 37], [252, 255, 164]]; // after matplotlib's inferno

function ramp(share) {
  const at = share * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[low].map((value, k) => Math.round(value + (RAMP[low + 1][k] - value) * (at - low)));
}

const INFERNO = Array.from({ length: 256 }, (_, value) => ramp(value / 255));

const pixel = ([r, g, b], alpha) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0; // as ImageData has it

// Label -> pixel; `hidden`, a Set of labels, stays clear.
export const classTable = (colors, hidden) => Uint32Array.from({ length: 256 }, (_, label) => pixel(colors[label] ?? CREAM, hidden.has(label) ? 0 : 255));

export const rampTable = () => Uint32Array.from(INFERNO, (color) => pixel(color, 255));

// A rectangle of `values` (of rows of `stride`) through a table.
export function painted(values, stride, { x, y, w, h }, table) {
  const image = new ImageData(w, h);
  const pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < h; row++) {
    const from = (y + row) * stride + x;
    for (let column = 0; column < w; column++) pixels[row * w + column] = table[values[from + column]];
  }
  return image;
}

export const css = (color) => `rgb(${color.join(" ")})`;
