// The picture on the screen: what is drawn over it, zooming, moving, and what lies under the pointer.

import { classTable, painted, rampTable } from "./colors.js";

const LEAST_SEEN = 48; // so many pixels of the picture stay on the stage, however it is moved
const MOST_SCALE = 60;

export class Stage {
  // canvas: where; changed: called after each drawing; hover: told {x, y, left, top} under the pointer, or null.
  constructor(canvas, { changed, hover, pick }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.colors = [];
    this.changed = changed;
    this.hover = hover;
    this.pick = pick;
    this.item = null;
    this.view = "overlay";
    this.opacity = 0.5;
    this.hidden = new Set();
    this.bare = false;
    this.split = 0.5;
    this.layer = new OffscreenCanvas(1, 1);
    this.brush = null; // {down(place), move(place), up(), radius}: paints in place of moving the picture
    this.pointer = null; // its place
    this.over = null; // the event that said so
    this.cursor = null; // the keyboard's, {x, y}
    this.pointers = new Map();
    this.scale = 1;
    this.ratio = 1;
    this.listen();
    new ResizeObserver(() => this.resized()).observe(canvas.parentElement);
  }

  // Shows another picture, or null, or what has come in of this one.
  show(item) {
    const isOther = item !== this.item;
    this.item = item;
    if (isOther) this.cursor = null;
    this.paintLayer();
    if (item?.bitmap && (isOther || !this.fitted)) this.fit();
  }

  // The layer over the picture, of the picture's own size.
  paintLayer() {
    const maps = this.item?.maps;
    if (!maps) return this.draw();
    if (this.layer.width !== maps.width || this.layer.height !== maps.height) {
      this.layer = new OffscreenCanvas(maps.width, maps.height);
    }
    this.paintPart({ x: 0, y: 0, w: maps.width, h: maps.height });
  }

  // A rectangle of it, for the brush.
  paintPart(part) {
    const { maps } = this.item;
    const isMap = this.view === "confidence" || this.view === "entropy";
    const table = isMap ? rampTable() : classTable(this.colors, this.hidden);
    const image = painted(isMap ? maps[this.view] : maps.labels, maps.width, part, table);
    this.layer.getContext("2d").putImageData(image, part.x, part.y);
    this.draw();
  }

  resized() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    this.ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(clientWidth * this.ratio)), height = Math.max(1, Math.round(clientHeight * this.ratio));
    if (width === this.canvas.width && height === this.canvas.height) return;
    [this.canvas.width, this.canvas.height] = [width, height];
    if (!this.item?.bitmap) return;
    if (this.fitted) this.fit();
    else this.move(0, 0);
    this.drawNow(); // at once: a canvas that was resized is blank
  }

  get fitScale() {
    const margin = 16 * this.ratio;
    const { width, height } = this.item;
    return Math.min((this.canvas.width - 2 * margin) / width, (this.canvas.height - 2 * margin) / height, 24 * this.ratio);
  }

  fit() {
    const { width, height } = this.item;
    this.scale = Math.max(0.005, this.fitScale);
    this.left = (this.canvas.width - width * this.scale) / 2;
    this.top = (this.canvas.height - height * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  // Zooms by a factor about a point of the canvas, its middle unless said.
  zoom(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, Math.min(this.fitScale, 1) / 4), MOST_SCALE);
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.move(0, 0);
  }

  move(x, y) {
    const keep = LEAST_SEEN * this.ratio;
    const { width, height } = this.item;
    this.left = Math.min(this.canvas.width - keep, Math.max(keep - width * this.scale, this.left + x));
    this.top = Math.min(this.canvas.height - keep, Math.max(keep - height * this.scale, this.top + y));
    this.fitted = false;
    this.draw();
  }

  draw() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      if (this.over) this.point(this.over); // what lies under a resting pointer may have changed
      this.drawNow();
      this.changed();
    });
  }

  drawNow() {
    const { context, canvas, item } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!item?.bitmap) return;
    context.setTransform(this.scale, 0, 0, this.scale, this.left, this.top);
    context.imageSmoothingEnabled = this.scale < 2 * this.ratio;
    context.imageSmoothingQuality = "high";
    context.drawImage(item.bitmap, 0, 0, item.width, item.height);
    if (item.maps && !this.bare) this.drawLayer();
    this.drawRing();
  }

  drawLayer() {
    const { context, item } = this;
    context.save();
    if (this.view === "slider") {
      context.beginPath();
      context.rect(this.split * item.width, 0, item.width, item.height);
      context.clip();
    }
    context.imageSmoothingEnabled = this.scale < 0.5;
    context.globalAlpha = { overlay: this.opacity, slider: this.opacity, mask: 1, confidence: 0.88, entropy: 0.88 }[this.view];
    context.drawImage(this.layer, 0, 0);
    context.restore();
  }

  // The brush's size around the pointer, and the keyboard's place.
  drawRing() {
    const at = this.brush && this.pointer ? this.pointer : this.cursor;
    if (!at) return;
    const { context } = this;
    const radius = Math.max((this.brush?.radius ?? 0) * this.scale, 5 * this.ratio);
    context.setTransform(1, 0, 0, 1, 0, 0);
    for (const [color, width] of [["#000a", 3], ["#fff", 1.4]]) {
      context.strokeStyle = color;
      context.lineWidth = width * this.ratio;
      context.beginPath();
      context.arc(this.left + at.x * this.scale, this.top + at.y * this.scale, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  // The place of the slider's line on the screen, in CSS pixels.
  get splitLeft() {
    return (this.left + this.split * this.item.width * this.scale) / this.ratio;
  }

  // Where in the picture an event is, and where on the stage.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const left = event.clientX - box.left, top = event.clientY - box.top;
    return { x: (left * this.ratio - this.left) / this.scale, y: (top * this.ratio - this.top) / this.scale, left, top };
  }

  placeOf({ x, y }) {
    return { x, y, left: (this.left + x * this.scale) / this.ratio, top: (this.top + y * this.scale) / this.ratio };
  }

  // Moves the keyboard's place by so many steps; it begins in the middle.
  moveCursor(right, down) {
    const { width, height } = this.item;
    const step = Math.max(1, Math.round((14 * this.ratio) / this.scale));
    const from = this.cursor ?? { x: Math.floor(width / 2) + 0.5, y: Math.floor(height / 2) + 0.5 };
    const inside = (value, most) => Math.min(most - 0.5, Math.max(0.5, value));
    this.cursor = { x: inside(from.x + right * step, width), y: inside(from.y + down * step, height) };
    this.pointer = this.over = null;
    this.draw();
    return this.placeOf(this.cursor);
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), ...at(event));
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => this.brush ?? this.zoom(2, ...at(event)));
    canvas.addEventListener("contextmenu", (event) => {
      if (!this.brush) return;
      event.preventDefault();
      this.pick(this.place(event));
    });
    canvas.addEventListener("pointerdown", (event) => this.pressed(event));
    canvas.addEventListener("pointermove", (event) => this.moved(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.released(event));
    canvas.addEventListener("pointerleave", () => {
      this.pointer = this.over = null;
      this.hover(null);
      this.draw();
    });
  }

  point(event) {
    this.over = event;
    this.pointer = this.place(event);
    this.hover(this.item?.maps && this.pointers.size < 2 ? this.pointer : null);
  }

  pressed(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    this.cursor = null;
    this.hover(this.pointers.size < 2 ? this.place(event) : null);
    if (this.pointers.size === 2 && this.painting) this.brush?.up();
    this.painting = Boolean(this.brush && this.pointers.size === 1 && event.button === 0 && this.item?.maps);
    if (this.painting) this.brush.down(this.place(event));
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    this.point(event);
    if (this.brush) this.draw();
    if (!before) return;
    if (this.painting) {
      const all = event.getCoalescedEvents?.() ?? [];
      for (const each of all.length ? all : [event]) this.brush.move(this.place(each));
    } else if (this.pointers.size === 2) {
      this.pinch(event, before);
    } else if (event.buttons & 5) {
      this.move((event.clientX - before.clientX) * this.ratio, (event.clientY - before.clientY) * this.ratio);
    }
    this.pointers.set(event.pointerId, event);
  }

  released(event) {
    if (this.painting) this.brush?.up();
    this.painting = false;
    this.pointers.delete(event.pointerId);
    if (event.pointerType === "touch") this.pointer = this.over = null;
  }

  // Two fingers: the picture follows them.
  pinch(event, before) {
    const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
    const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
    const box = this.canvas.getBoundingClientRect();
    const middle = (axis, edge) => ((event[axis] + other[axis]) / 2 - box[edge]) * this.ratio;
    this.move(((event.clientX - before.clientX) / 2) * this.ratio, ((event.clientY - before.clientY) / 2) * this.ratio);
    this.zoom(far(event) / far(before), middle("clientX", "left"), middle("clientY", "top"));
  }
}
