// The picture on the screen: what is drawn over it, zooming, moving, and what lies under the pointer.

const RAMP = [[12, 7, 60], [90, 18, 110], [165, 44, 96], [229, 92, 48], [251, 179, 37], [252, 255, 164]]; // after matplotlib's inferno

function ramp(share) {
  const at = share * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[low].map((value, k) => Math.round(value + (RAMP[low + 1][k] - value) * (at - low)));
}

export class Stage {
  // canvas: where; changed: called after zoom and move; hover: told {x, y, left, top} under the pointer, or null.
  constructor(canvas, colors, { changed, hover }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.colors = colors;
    this.changed = changed;
    this.hover = hover;
    this.item = null;
    this.view = "overlay";
    this.opacity = 0.6;
    this.hidden = new Set();
    this.bare = false;
    this.split = 0.5;
    this.layer = new OffscreenCanvas(1, 1);
    this.brush = null; // {down(x, y), move(x, y), up()}: paints in place of moving the picture
    this.pointers = new Map();
    this.inferno = Array.from({ length: 256 }, (_, value) => ramp(value / 255));
    this.listen();
    new ResizeObserver(() => this.resized()).observe(canvas.parentElement);
  }

  show(item) {
    this.item = item;
    this.paintLayer();
    this.fit();
  }

  // The layer over the picture, of the picture's own size.
  paintLayer() {
    const maps = this.item?.maps;
    if (!maps) return this.draw();
    if (this.layer.width !== maps.width || this.layer.height !== maps.height) {
      this.layer = new OffscreenCanvas(maps.width, maps.height);
    }
    this.paintPart(0, 0, maps.width, maps.height);
    this.draw();
  }

  // A rectangle of it, for the brush.
  paintPart(left, top, width, height) {
    const maps = this.item.maps;
    const image = new ImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const table = new Uint32Array(256);
    const source = this.view === "confidence" || this.view === "entropy" ? maps[this.view] : maps.labels;
    for (let value = 0; value < 256; value++) {
      const isMap = source !== maps.labels;
      const [r, g, b] = isMap ? this.inferno[value] : (this.colors[value] ?? [224, 224, 192]);
      table[value] = ((!isMap && this.hidden.has(value) ? 0 : 255) << 24) | (b << 16) | (g << 8) | r;
    }
    for (let y = 0; y < height; y++) {
      const from = (top + y) * maps.width + left;
      for (let x = 0; x < width; x++) words[y * width + x] = table[source[from + x]];
    }
    this.layer.getContext("2d").putImageData(image, left, top);
  }

  resized() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.ratio = ratio;
    if (this.item) this.fitted ? this.fit() : this.draw();
  }

  fit() {
    const { width, height } = this.item;
    const margin = 12 * this.ratio;
    this.scale = Math.min((this.canvas.width - 2 * margin) / width, (this.canvas.height - 2 * margin) / height);
    this.left = (this.canvas.width - width * this.scale) / 2;
    this.top = (this.canvas.height - height * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  // Zooms by a factor about a point of the canvas, its middle unless said.
  zoom(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, 0.02), 60);
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  move(x, y) {
    this.left += x;
    this.top += y;
    this.fitted = false;
    this.draw();
  }

  draw() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.drawNow();
      this.changed();
    });
  }

  drawNow() {
    const { context, canvas, item } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!item) return;
    context.setTransform(this.scale, 0, 0, this.scale, this.left, this.top);
    context.imageSmoothingEnabled = this.scale < 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(item.bitmap, 0, 0, item.width, item.height);
    if (!item.maps || this.bare) return;
    context.save();
    if (this.view === "slider") {
      context.beginPath();
      context.rect(this.split * item.width, 0, item.width, item.height);
      context.clip();
    }
    context.imageSmoothingEnabled = this.scale < 0.5;
    context.globalAlpha = this.view === "overlay" || this.view === "slider" ? this.opacity : 1;
    context.drawImage(this.layer, 0, 0);
    context.restore();
  }

  // The place of the slider's line on the screen, in CSS pixels.
  get splitLeft() {
    return (this.left + this.split * this.item.width * this.scale) / this.ratio;
  }

  // Where in the picture an event is.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) * this.ratio - this.left) / this.scale;
    const y = ((event.clientY - box.top) * this.ratio - this.top) / this.scale;
    return { x, y, left: event.clientX - box.left, top: event.clientY - box.top };
  }

  listen() {
    const { canvas, pointers } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), (event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      this.painting = this.brush && pointers.size === 1 && event.button === 0 && this.item?.maps;
      if (this.painting) this.brush.down(this.place(event));
      else if (pointers.size === 2) this.brush?.up();
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      const place = this.place(event);
      this.hover(this.item?.maps && pointers.size < 2 ? place : null);
      if (!before) return;
      if (this.painting && pointers.size === 1) {
        for (const each of event.getCoalescedEvents?.() ?? [event]) this.brush.move(this.place(each));
      } else if (pointers.size === 2) {
        this.pinch(event);
      } else {
        this.move((event.clientX - before.clientX) * this.ratio, (event.clientY - before.clientY) * this.ratio);
      }
      pointers.set(event.pointerId, event);
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(kind, (event) => {
        if (this.painting) this.brush?.up();
        this.painting = false;
        pointers.delete(event.pointerId);
      });
    }
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("dblclick", (event) => {
      if (this.brush) return;
      const box = canvas.getBoundingClientRect();
      this.zoom(2, (event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio);
    });
  }

  // Two fingers: the picture follows them.
  pinch(event) {
    const [a, b] = [...this.pointers.keys()].map((id) => this.pointers.get(id));
    const other = a.pointerId === event.pointerId ? b : a;
    const before = this.pointers.get(event.pointerId);
    const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
    const box = this.canvas.getBoundingClientRect();
    const middle = (axis, edge) => ((event[axis] + other[axis]) / 2 - box[edge]) * this.ratio;
    this.move(((event.clientX - before.clientX) / 2) * this.ratio, ((event.clientY - before.clientY) / 2) * this.ratio);
    this.zoom(far(event) / far(before), middle("clientX", "left"), middle("clientY", "top"));
  }
}
