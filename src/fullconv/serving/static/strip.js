// The strip of pictures below the stage.

// Adds a picture's button to the strip; `choose` is called with the picture when it is clicked.
export function addToStrip(list, item, colors, choose) {
  const entry = document.createElement("li");
  item.button = document.createElement("button");
  item.button.type = "button";
  item.button.title = item.name;
  item.button.setAttribute("aria-label", item.name);
  item.thumb = document.createElement("canvas");
  item.button.append(item.thumb);
  item.button.addEventListener("click", () => choose(item));
  entry.append(item.button);
  list.append(entry);
  createImageBitmap(item.file, { imageOrientation: "from-image" }).then((bitmap) => {
    item.small = bitmap;
    drawThumb(item, colors);
  }, () => {});
}

// Draws a picture small, with its classes over it where they are known.
export function drawThumb(item, colors) {
  if (!item.small) return;
  const height = 112, width = Math.round(Math.min(2.2, Math.max(0.6, item.small.width / item.small.height)) * height);
  [item.thumb.width, item.thumb.height] = [width, height];
  const context = item.thumb.getContext("2d");
  context.drawImage(item.small, 0, 0, width, height);
  if (!item.maps) return;
  const step = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const label = item.maps.labels[Math.floor(((y + 0.5) * item.maps.height) / height) * item.maps.width + Math.floor(((x + 0.5) * item.maps.width) / width)];
      image.data.set([...(colors[label] ?? [224, 224, 192]), 150], 4 * (y * width + x));
    }
  }
  step.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(step, 0, 0);
}
