import { overlay, segment, shares } from "./segment.js";

const ort = globalThis.ort;
const byId = (id) => document.getElementById(id);
const say = (text) => (byId("status").textContent = text);

async function start() {
  if (!ort) throw new Error("onnxruntime-web is not in ort/; README.md says how to put it there");
  ort.env.wasm.wasmPaths = new URL("ort/", document.baseURI).href;
  const about = await (await fetch("model.json")).json();
  const session = await ort.InferenceSession.create("model.onnx");
  byId("picture").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) show(about, session, file).catch((error) => say(`error: ${error.message}`));
  });
  byId("picture").disabled = false;
  say("ready");
}

async function show(about, session, file) {
  say("working");
  const bitmap = await createImageBitmap(file);
  const canvas = byId("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const began = performance.now();
  const labels = await segment(ort, session, about, image);
  const milliseconds = performance.now() - began;
  const painted = overlay(image.data, labels, about.classes, 0.55);
  context.putImageData(new ImageData(painted, canvas.width, canvas.height), 0, 0);
  const rows = shares(labels, about.classes).map(({ name, color, share }) => {
    const row = document.createElement("li");
    row.textContent = `${name}: ${(100 * share).toFixed(1)} %`;
    row.style.borderLeft = `1em solid rgb(${color.join(",")})`;
    return row;
  });
  byId("classes").replaceChildren(...rows);
  globalThis.labels = Array.from(labels); // for who wants to look at them in the console
  say(`done in ${milliseconds.toFixed(0)} ms`);
}

start().catch((error) => say(`error: ${error.message}`));
