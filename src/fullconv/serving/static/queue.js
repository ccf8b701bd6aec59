// Pictures on their way to the service, one after the other, and the service coming and going.

import { getJson, predict } from "./api.js";
import { words } from "./words.js";

const MOST_PIXELS = 80e6; // of pictures that are kept decoded
// What the service says, in the page's language where that is known.
export const spoken = (error) => words().codes[error.code] ?? error.message;

const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

export class Queue {
  // on: {changed(item), done(item), ready(model), token()}
  constructor(on) {
    this.on = on;
    this.items = [];
    this.current = null;
    this.model = null;
    this.trouble = null; // why there is no model: "loading", "offline", or what the service says
    this.working = null; // {item, controller, began}
    this.pace = null; // seconds for a megapixel
  }

  // An item's state: waiting, sending, labelling, done, failed.
  add(files) {
    const added = [...files].map((file) => ({ file, name: file.name || "picture.png", state: "waiting", watched: file.watched }));
    this.items.push(...added);
    return added;
  }

  remove(item) {
    if (this.working?.item === item) this.working.controller.abort();
    item.bitmap?.close();
    this.items.splice(this.items.indexOf(item), 1);
  }

  // Decodes a picture, upright, and forgets others where there are many.
  async open(item) {
    if (item.bitmap || item.broken) return;
    try {
      item.bitmap = await createImageBitmap(item.file, { imageOrientation: "from-image" });
      [item.width, item.height] = [item.bitmap.width, item.bitmap.height];
    } catch {
      item.broken = true;
      if (item.state !== "done") this.fail(item, words().unreadable);
      return;
    }
    let pixels = item.width * item.height;
    for (const other of this.items) {
      if (other === item || other === this.current || !other.bitmap) continue;
      pixels += other.width * other.height;
      if (pixels < MOST_PIXELS) continue;
      other.bitmap.close();
      other.bitmap = null;
    }
  }

  // Asks for the model until it is there; the service may be starting, or gone for now.
  async connect() {
    this.model = null;
    this.trouble ??= "loading";
    this.on.changed();
    for (;;) {
      try {
        const model = await getJson("/v1/model");
        this.trouble = null;
        this.pace = model.seconds_per_megapixel;
        await this.on.ready(model);
        this.model = model;
        this.on.changed();
        this.work();
        return;
      } catch (error) {
        if (error.status === 401) await this.on.token();
        else {
          this.trouble = error.code === "not_ready" && error.retryAfter ? "loading" : error.code === "offline" ? "offline" : error.message;
          this.on.changed();
          await wait(1);
        }
      }
    }
  }

  async work() {
    if (this.working || !this.model) return;
    const item = this.current?.state === "waiting" ? this.current : this.items.find((each) => each.state === "waiting");
    if (!item) return;
    const controller = new AbortController();
    this.working = { item, controller, began: performance.now() };
    [item.state, item.sent] = ["sending", 0];
    this.on.changed(item);
    try {
      item.maps = await predict(item.file, item.name, (share) => this.progress(item, share), controller.signal);
      item.seconds = (performance.now() - this.working.began) / 1000;
      this.check(item);
      const megapixels = (item.maps.width * item.maps.height) / 1e6;
      if (megapixels > 0.2) this.pace = item.seconds / megapixels;
      item.counts = null;
      item.state = "done";
      this.on.done(item);
    } catch (error) {
      await this.recover(item, error);
    }
    this.working = null;
    this.on.changed(item);
    this.work();
  }

  progress(item, share) {
    item.sent = share;
    if (share === 1 && item.state === "sending") {
      item.state = "labelling";
      this.working.began = performance.now();
    }
    this.on.changed(item);
  }

  // The classes must lie where the browser shows the picture.
  check(item) {
    const { maps } = item;
    if (!item.width) [item.width, item.height] = [maps.width, maps.height];
    if (item.width === maps.width && item.height === maps.height) return;
    item.maps = null;
    throw new Error(words().differs);
  }

  async recover(item, error) {
    if (!this.items.includes(item)) return;
    if (error.code === "cancelled") this.fail(item, words().cancelled);
    else if (error.code === "offline" || error.code === "shutting_down") {
      item.state = "waiting";
      this.trouble = "offline";
      this.connect();
    } else if (error.status === 503 && error.retryAfter) await this.pause(item, error.retryAfter);
    else this.fail(item, spoken(error).replace(/^image: /, `${item.name}: `));
  }

  async pause(item, seconds) {
    for (let left = Math.ceil(Math.max(1, seconds)); left > 0; left--) {
      item.note = words().busy(left);
      this.on.changed(item);
      await wait(1);
    }
    item.note = null;
    if (item.state !== "failed") item.state = "waiting";
  }

  fail(item, message) {
    item.state = "failed";
    item.error = message;
    this.on.changed(item);
  }

  again(item) {
    item.state = "waiting";
    item.broken = false;
    this.on.changed(item);
    this.work();
  }

  cancel(item) {
    if (this.working?.item === item && item.state !== "waiting" && !item.note) this.working.controller.abort();
    else this.fail(item, words().cancelled);
  }

  // How far the work on an item is, 0..1, and the seconds that are left; null where nobody knows.
  expected(item) {
    const size = item.width * item.height;
    if (item.state !== "labelling" || !this.pace || !size) return null;
    const all = (this.pace * size) / 1e6;
    const spent = (performance.now() - this.working.began) / 1000;
    return all < 1.5 ? null : { share: 1 - Math.exp(-1.6 * (spent / all)), left: Math.max(1, Math.round(all - spent)) };
  }
}
