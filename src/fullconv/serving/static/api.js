// What the page asks the service for.

export class ServiceError extends Error {
  constructor(message, code, retryAfter) {
    super(message);
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
  return new ServiceError(error.message ?? `status ${status}`, error.code ?? String(status), Number(retry ?? 0));
}

export async function getJson(path) {
  const reply = await fetch(path, { headers: headers() });
  if (!reply.ok) throw await errorOf(reply.status, await reply.text(), reply.headers.get("Retry-After"));
  return reply.json();
}

export async function getBlob(path) {
  const reply = await fetch(path, { headers: headers() });
  if (!reply.ok) throw await errorOf(reply.status, await reply.text(), reply.headers.get("Retry-After"));
  return reply.blob();
}

// Sends a form and tells how far it is; `signal` cancels. Only XMLHttpRequest tells of uploads.
export function send(path, form, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress?.(event.lengthComputable ? event.loaded / event.total : null);
    request.onload = async () => {
      if (request.status < 300) resolve(request.response);
      else reject(await errorOf(request.status, await request.response.text(), request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new ServiceError("", "offline", 0));
    request.onabort = () => reject(new ServiceError("", "cancelled", 0));
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
  const { data } = context.getImageData(0, 0, width, height);
  const maps = { width, height };
  ["labels", "confidence", "entropy"].forEach((kind, channel) => {
    const values = (maps[kind] = new Uint8Array(width * height));
    for (let index = 0; index < values.length; index++) values[index] = data[4 * index + channel];
  });
  return maps;
}
