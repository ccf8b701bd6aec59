// The strip of pictures below the stage.

import { classTable } from "./colors.js";
import { words } from "./words.js";

const HEIGHT = 112;
let turn = Promise.resolve(); // pictures are decoded one at a time: many large ones would not fit into memory

// Adds a picture's button to the strip; `choose` and `drop` are called with the picture.
export function addToStrip(list, item, colors, { choose, drop }) {
  item.entry = document.createElement("li");
  item.button = document.createElement("button");
  item.button.type = "button";
  item.button.className = "thumb";
  item.button.title = item.name;
  item.thumb = document.createElement("canvas");
  [item.thumb.width, item.thumb.height] = [HEIGHT, HEIGHT];
  item.button.append(item.thumb);
  item.button.addEventListener("click", () => choose(item));
  const away = document.createElement("button");
  away.type = "button";
  away.className = "away";
  away.textContent = "×";
  away.setAttribute("aria-label", words().remove(item.name));
  away.addEventListener("click", () => drop(item));
  item.entry.append(item.button, away);
  list.append(item.entry);
  turn = turn.then(() => makeSmall(item, colors)).catch(() => {});
}

async function makeSmall(item, colors) {
  if (!item.entry.isConnected) return;
  const bitmap = await createImageBitmap(item.file, { imageOrientation: "from-image" });
  item.width ??= bitmap.width;
  item.height ??= bitmap.height;
  const width = Math.round(Math.min(2.2, Math.max(0.6, bitmap.width / bitmap.height)) * HEIGHT);
  item.small = new OffscreenCanvas(width, HEIGHT);
  const scale = Math.max(width / bitmap.width, HEIGHT / bitmap.height); // fills the thumb, as object-fit: cover does
  const context = item.small.getContext("2d");
  context.imageSmoothingQuality = "high";
  item.smallPart = { x: (bitmap.width - width / scale) / 2, y: (bitmap.height - HEIGHT / scale) / 2, step: 1 / scale };
  context.drawImage(bitmap, item.smallPart.x, item.smallPart.y, width / scale, HEIGHT / scale, 0, 0, width, HEIGHT);
  bitmap.close();
  drawThumb(item, colors);
}

// Draws a picture small, with its classes over it where they are known.
export function drawThumb(item, colors) {
  if (!item.small) return;
  const { width, height } = item.small;
  [item.thumb.width, item.thumb.height] = [width, height];
  const context = item.thumb.getContext("2d");
  context.drawImage(item.small, 0, 0);
  if (!item.maps) return;
  const table = classTable(colors(), new Set());
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const { x: left, y: top, step } = item.smallPart;
  for (let y = 0; y < height; y++) {
    const row = Math.min(item.maps.height - 1, Math.floor(top + (y + 0.5) * step)) * item.maps.width;
    for (let x = 0; x < width; x++) pixels[y * width + x] = table[item.maps.labels[row + Math.min(item.maps.width - 1, Math.floor(left + (x + 0.5) * step))]];
  }
  const layer = new OffscreenCanvas(width, height);
  layer.getContext("2d").putImageData(image, 0, 0);
  context.globalAlpha = 0.55;
  context.drawImage(layer, 0, 0);
}
