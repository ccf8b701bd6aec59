// Files for the user to keep: mask, overlay, figures.

import { classTable, painted } from "./colors.js";
import { shares } from "./legend.js";
import { encodeLabels } from "./png.js";

const stem = (name) => name.replace(/\.[^.]*$/, "");

function give(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const maskOf = (item, colors) => encodeLabels(item.maps.labels, item.width, item.height, colors);

export const giveMask = async (item, colors) => give(await maskOf(item, colors), `${stem(item.name)}_mask.png`);

// The picture under its classes, at its own size.
export async function giveOverlay(item, colors, hidden, opacity) {
  const { width, height } = item;
  const layer = new OffscreenCanvas(width, height);
  const all = { x: 0, y: 0, w: width, h: height };
  layer.getContext("2d").putImageData(painted(item.maps.labels, width, all, classTable(colors, hidden)), 0, 0);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(item.bitmap, 0, 0);
  context.globalAlpha = opacity;
  context.drawImage(layer, 0, 0);
  give(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }), `${stem(item.name)}_overlay.jpg`);
}

export function giveJson(item, model) {
  const classes = Object.fromEntries(shares(item, model.classes).map((row) => [row.name, row.share]));
  const content = { source: item.name, model: model.name, digest: model.digest, width: item.width, height: item.height, corrected: Boolean(item.edited), classes };
  give(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }), `${stem(item.name)}.json`);
}
