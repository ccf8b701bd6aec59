// Corrections of a label map: brush, eraser, fill of a region, and taking them back.

const MOST_BYTES = 128e6; // of what can be undone

export class Painter {
  // stage: shows what is painted; changed: called when something was painted, undone or redone.
  constructor(stage, changed) {
    this.stage = stage;
    this.changed = changed;
    this.tool = "look";
    this.size = 16;
    this.label = 0;
  }

  use(tool) {
    this.tool = tool;
    this.stage.brush = tool === "look" ? null : this;
    this.stage.draw();
  }

  get radius() {
    return this.tool === "fill" ? 0 : this.size / 2;
  }

  // Each item has its own history: rectangles of labels as they were.
  history(item) {
    return (item.history ??= { done: [], undone: [] });
  }

  down({ x, y }) {
    const { item } = this.stage;
    item.original ??= item.maps.labels.slice();
    this.item = item;
    this.before = item.maps.labels.slice();
    this.touched = null;
    if (this.tool === "fill") this.fill(Math.floor(x), Math.floor(y));
    else this.line({ x, y }, { x, y });
    this.last = { x, y };
  }

  move({ x, y }) {
    if (!this.before || this.tool === "fill") return;
    this.line(this.last, { x, y });
    this.last = { x, y };
  }

  up() {
    if (!this.before) return;
    const { item, before, touched } = this;
    this.before = null;
    const part = touched && cut(before, item.maps.width, touched);
    if (!part || same(part, cut(item.maps.labels, item.maps.width, touched))) return;
    const history = this.history(item);
    history.done.push({ ...touched, labels: part });
    history.undone = [];
    let bytes = history.done.reduce((sum, each) => sum + each.labels.length, 0);
    while (bytes > MOST_BYTES && history.done.length > 1) bytes -= history.done.shift().labels.length;
    this.changed(item);
  }

  // A line of discs, so that quick movements leave no gaps.
  line(from, to) {
    const radius = this.size / 2;
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(0.7, radius / 2)));
    for (let step = 0; step <= steps; step++) {
      this.disc(from.x + ((to.x - from.x) * step) / steps, from.y + ((to.y - from.y) * step) / steps, radius);
    }
    this.show(Math.min(from.x, to.x) - radius, Math.min(from.y, to.y) - radius, Math.max(from.x, to.x) + radius, Math.max(from.y, to.y) + radius);
  }

  // The pixels whose middle lies in a disc; always the one that its middle lies in.
  disc(x, y, radius) {
    const { maps, original } = this.item;
    const { width, height, labels } = maps;
    const row = Math.floor(y), column = Math.floor(x);
    const set = (index) => (labels[index] = this.tool === "eraser" ? original[index] : this.label);
    if (row >= 0 && row < height && column >= 0 && column < width) set(row * width + column);
    for (let at = Math.max(0, Math.ceil(y - radius - 0.5)); at <= Math.min(height - 1, Math.floor(y + radius - 0.5)); at++) {
      const half = Math.sqrt(Math.max(0, radius * radius - (at + 0.5 - y) ** 2));
      const end = Math.min(width - 1, Math.floor(x + half - 0.5));
      for (let each = Math.max(0, Math.ceil(x - half - 0.5)); each <= end; each++) set(at * width + each);
    }
  }

  // The connected region of one label around a pixel, row by row.
  fill(x, y) {
    const { width, height, labels } = this.item.maps;
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const label = labels[y * width + x];
    if (label === this.label) return;
    const waiting = [y * width + x];
    let [least, most, top, bottom] = [x, x, y, y];
    while (waiting.length) {
      const index = waiting.pop();
      if (labels[index] !== label) continue;
      const row = index - (index % width);
      let left = index, right = index;
      while (left > row && labels[left - 1] === label) left--;
      while (right + 1 < row + width && labels[right + 1] === label) right++;
      labels.fill(this.label, left, right + 1);
      [least, most] = [Math.min(least, left - row), Math.max(most, right - row)];
      [top, bottom] = [Math.min(top, row / width), Math.max(bottom, row / width)];
      for (const beside of [-width, width]) {
        for (let at = left + beside; at <= right + beside; at++) {
          if (labels[at] === label && (at === left + beside || labels[at - 1] !== label)) waiting.push(at);
        }
      }
    }
    this.show(least, top, most + 1, bottom + 1);
  }

  // Draws what was painted in a rectangle, and remembers that it was touched.
  show(left, top, right, bottom) {
    const { width, height } = this.item.maps;
    const x = Math.min(width, Math.max(0, Math.floor(left))), y = Math.min(height, Math.max(0, Math.floor(top)));
    const part = { x, y, w: Math.min(width, Math.ceil(right)) - x, h: Math.min(height, Math.ceil(bottom)) - y };
    if (part.w <= 0 || part.h <= 0) return;
    this.touched = this.touched ? around(this.touched, part) : part;
    this.stage.paintPart(part);
  }

  undo() {
    this.swap("done", "undone");
  }

  redo() {
    this.swap("undone", "done");
  }

  swap(from, to) {
    const { item } = this.stage;
    const part = item?.maps && this.history(item)[from].pop();
    if (!part) return;
    const { labels, width } = item.maps;
    this.history(item)[to].push({ ...part, labels: cut(labels, width, part) });
    for (let row = 0; row < part.h; row++) labels.set(part.labels.subarray(row * part.w, (row + 1) * part.w), (part.y + row) * width + part.x);
    this.stage.paintPart(part);
    this.changed(item);
  }
}

function cut(labels, stride, { x, y, w, h }) {
  const out = new Uint8Array(w * h);
  for (let row = 0; row < h; row++) out.set(labels.subarray((y + row) * stride + x, (y + row) * stride + x + w), row * w);
  return out;
}

const same = (one, other) => one.every((value, index) => value === other[index]);

function around(a, b) {
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}
