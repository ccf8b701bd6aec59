// Corrections go to the service's data folder; the picture that teaches most comes next.

import { getBlob, getJson, send } from "./api.js";
import { maskOf } from "./give.js";
import { words } from "./words.js";

export class Collector {
  constructor() {
    this.state = { on: false };
    this.watch = { on: false, pictures: [] };
    this.taken = new Set(); // indices of watched pictures that were fetched
  }

  async look() {
    this.state = await getJson("/v1/collect");
    this.watch = await getJson("/v1/watch");
  }

  // Raises ServiceError.
  async save(item, colors) {
    const form = new FormData();
    form.append("image", item.file, item.name);
    form.append("mask", await maskOf(item, colors), "mask.png");
    const version = item.version;
    const reply = JSON.parse(await (await send("/v1/collect", form)).text());
    this.state = reply;
    item.saved = item.version === version;
    return reply.saved;
  }

  // The next picture that the model is least sure of, as a file, or null where there is none.
  async next() {
    this.watch = await getJson("/v1/watch");
    const first = this.watch.pictures.find((each) => !this.taken.has(each.index));
    if (!first) return null;
    this.taken.add(first.index);
    const blob = await getBlob(`/v1/watch/${first.index}/picture`);
    const file = new File([blob], first.name, { type: blob.type });
    file.watched = first;
    return file;
  }

  // What is left of the watched folder, in words.
  get left() {
    const { ranked, total, pictures } = this.watch;
    const count = pictures.filter((each) => !this.taken.has(each.index)).length;
    return count || ranked === total ? words().left(count) : words().ranking(ranked, total);
  }
}
