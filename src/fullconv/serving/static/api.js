// What the page asks the service for.

export class ServiceError extends Error {
  // status: of HTTP, 0 where there was no reply; code: the service's own word, or "offline" or "cancelled".
  constructor(message, status, code, retryAfter = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

let token = sessionStorage.getItem("token");

export function bear(given) {
  token = given;
  sessionStorage.setItem("token", given);
}

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

async function errorOf(status, text, retry) {
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // Not from the service: a proxy, perhaps.
  }
  return new ServiceError(error.message ?? `HTTP ${status}`, status, error.code ?? "unknown", Number(retry ?? 0));
}

async function get(path) {
  let reply;
  try {
    reply = await fetch(path, { headers: headers() });
  } catch {
    throw new ServiceError("", 0, "offline");
  }
  if (!reply.ok) throw await errorOf(reply.status, await reply.text(), reply.headers.get("Retry-After"));
  return reply;
}

export const getJson = async (path) => (await get(path)).json();
export const getBlob = async (path) => (await get(path)).blob();

// Sends a form and tells how far it is; `signal` cancels. Only XMLHttpRequest tells of uploads.
export function send(path, form, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress?.(event.lengthComputable ? event.loaded / event.total : 0);
    request.upload.onload = () => progress?.(1);
    request.onload = async () => {
      if (request.status < 300) resolve(request.response);
      else reject(await errorOf(request.status, await request.response.text(), request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new ServiceError("", 0, "offline"));
    request.onabort = () => reject(new ServiceError("", 0, "cancelled"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

// The class id, confidence and entropy of each pixel, as three Uint8Arrays.
export async function predict(file, name, progress, signal) {
  const form = new FormData();
  form.append("image", file, name);
  const png = await send("/v1/predict?output=maps", form, progress, signal);
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  const maps = { width, height, labels: new Uint8Array(pixels.length), confidence: new Uint8Array(pixels.length), entropy: new Uint8Array(pixels.length) };
  for (let index = 0; index < pixels.length; index++) {
    const rgb = pixels[index];
    maps.labels[index] = rgb & 255;
    maps.confidence[index] = (rgb >> 8) & 255;
    maps.entropy[index] = (rgb >> 16) & 255;
  }
  return maps;
}
