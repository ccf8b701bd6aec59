// What a page needs to run an exported model with onnxruntime-web. Nothing here needs the page.

/** RGBA bytes of `width` x `height` pixels to (1, 3, H, W) float32 values, normalised as the model expects them. */
export function toInput(rgba, width, height, mean, std) {
  const size = width * height;
  const input = new Float32Array(3 * size);
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0; pixel < size; pixel++) {
      input[channel * size + pixel] = (rgba[4 * pixel + channel] / 255 - mean[channel]) / std[channel];
    }
  }
  return input;
}

/** (K, H, W) logits to (H, W) class ids; of equal logits the lowest id. */
export function argmax(logits, numClasses) {
  const size = logits.length / numClasses;
  const labels = new Uint16Array(size);
  for (let pixel = 0; pixel < size; pixel++) {
    for (let id = 1; id < numClasses; id++) {
      if (logits[id * size + pixel] > logits[labels[pixel] * size + pixel]) labels[pixel] = id;
    }
  }
  return labels;
}

/** The classes' colours over the picture, RGBA bytes. */
export function overlay(rgba, labels, classes, opacity) {
  const painted = new Uint8ClampedArray(rgba);
  labels.forEach((id, pixel) => {
    for (let channel = 0; channel < 3; channel++) {
      const at = 4 * pixel + channel;
      painted[at] = (1 - opacity) * rgba[at] + opacity * classes[id].color[channel];
    }
  });
  return painted;
}

/** The share of the picture that each class has, largest first; absent classes are left out. */
export function shares(labels, classes) {
  const counts = new Array(classes.length).fill(0);
  for (const id of labels) counts[id]++;
  return classes
    .map(({ name, color }, id) => ({ name, color, share: counts[id] / labels.length }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share);
}

/** Class ids of an ImageData's pixels; `about` is what the NAME.json beside the model says. */
export async function segment(ort, session, about, image) {
  const { data, width, height } = image;
  const input = toInput(data, width, height, about.mean, about.std);
  const output = about.outputs[0].name;
  const found = await session.run({ image: new ort.Tensor("float32", input, [1, 3, height, width]) }, [output]);
  return output === "labels" ? found.labels.data : argmax(found.logits.data, about.classes.length);
}
