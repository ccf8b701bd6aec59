// Corrections of a label map: brush, eraser, fill of a region, and taking them back.

const MOST_KEPT = 50;

export class Painter {
  // stage: shows what is painted; changed: called when something was painted, undone or redone.
  constructor(stage, changed) {
    this.stage = stage;
    this.changed = changed;
    this.tool = "look";
    this.size = 12;
    this.label = 0;
  }

  use(tool) {
    this.tool = tool;
    this.stage.brush = tool === "look" ? null : this;
  }

  // Each item has its own history: strokes, each a Map of pixel -> label before.
  history(item) {
    return (item.history ??= { done: [], undone: [] });
  }

  down({ x, y }) {
    this.stroke = new Map();
    if (this.tool === "fill") this.fill(Math.floor(x), Math.floor(y));
    else this.line({ x, y }, { x, y });
    this.last = { x, y };
  }

  move({ x, y }) {
    if (!this.stroke || this.tool === "fill") return;
    this.line(this.last, { x, y });
    this.last = { x, y };
  }

  up() {
    if (this.stroke?.size) {
      const history = this.history(this.stage.item);
      history.done.push(this.stroke);
      if (history.done.length > MOST_KEPT) history.done.shift();
      history.undone = [];
      this.changed();
    }
    this.stroke = null;
  }

  set(index) {
    const { maps, original } = this.stage.item;
    const label = this.tool === "eraser" ? original[index] : this.label;
    if (maps.labels[index] === label) return;
    if (!this.stroke.has(index)) this.stroke.set(index, maps.labels[index]);
    maps.labels[index] = label;
  }

  // A line of discs, so that quick movements leave no gaps.
  line(from, to) {
    const radius = this.size / 2;
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(1, radius / 2)));
    for (let step = 0; step <= steps; step++) {
      this.disc(from.x + ((to.x - from.x) * step) / steps, from.y + ((to.y - from.y) * step) / steps, radius);
    }
    this.show(Math.min(from.x, to.x) - radius, Math.min(from.y, to.y) - radius, Math.max(from.x, to.x) + radius, Math.max(from.y, to.y) + radius);
  }

  disc(x, y, radius) {
    const { width, height } = this.stage.item.maps;
    if (radius <= 0.5) {
      if (x >= 0 && y >= 0 && x < width && y < height) this.set(Math.floor(y) * width + Math.floor(x));
      return;
    }
    for (let row = Math.max(0, Math.ceil(y - radius - 0.5)); row <= Math.min(height - 1, Math.floor(y + radius - 0.5)); row++) {
      const half = Math.sqrt(Math.max(0, radius * radius - (row + 0.5 - y) ** 2));
      const end = Math.min(width - 1, Math.floor(x + half - 0.5));
      for (let column = Math.max(0, Math.ceil(x - half - 0.5)); column <= end; column++) this.set(row * width + column);
    }
  }

  // The connected region of one label around a pixel.
  fill(x, y) {
    const { width, height, labels } = this.stage.item.maps;
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const label = labels[y * width + x];
    if (label === this.label) return;
    const waiting = [y * width + x];
    while (waiting.length) {
      const index = waiting.pop();
      if (labels[index] !== label) continue;
      const row = index - (index % width);
      let left = index;
      while (left > row && labels[left - 1] === label) left--;
      for (let at = left; at < row + width && labels[at] === label; at++) {
        this.set(at);
        if (at >= width && labels[at - width] === label) waiting.push(at - width);
        if (at + width < labels.length && labels[at + width] === label) waiting.push(at + width);
      }
    }
    this.show(0, 0, width, height);
  }

  show(left, top, right, bottom) {
    const { width, height } = this.stage.item.maps;
    const x = Math.max(0, Math.floor(left)), y = Math.max(0, Math.floor(top));
    const w = Math.min(width, Math.ceil(right)) - x, h = Math.min(height, Math.ceil(bottom)) - y;
    if (w <= 0 || h <= 0) return;
    this.stage.paintPart(x, y, w, h);
    this.stage.draw();
  }

  undo() {
    this.swap("done", "undone");
  }

  redo() {
    this.swap("undone", "done");
  }

  swap(from, to) {
    const item = this.stage.item;
    const stroke = item && this.history(item)[from].pop();
    if (!stroke) return;
    const { labels } = item.maps;
    const back = new Map();
    for (const [index, label] of stroke) {
      back.set(index, labels[index]);
      labels[index] = label;
    }
    this.history(item)[to].push(back);
    this.stage.paintLayer();
    this.changed();
  }
}
