// The page: pictures come in, go to the service one after the other, and are shown with what it says of them.

import { ServiceError, bear, getBlob, getJson, predict, send } from "./api.js";
import { tell, tellModel } from "./dialog.js";
import { giveJson, giveMask, giveOverlay, maskOf } from "./give.js";
import { listenKeys } from "./keys.js";
import { fillLegend, shares, told } from "./legend.js";
import { Painter } from "./paint.js";
import { Stage } from "./stage.js";
import { addToStrip, drawThumb } from "./strip.js";
import { otherLanguage, translate, words } from "./words.js";

const $ = (id) => document.getElementById(id);
const items = [];
let model = { name: "", classes: [], limits: {} };
let collection = null;
let current = null;
let working = null; // {item, controller, began}
let pace = null; // seconds per megapixel, of the last picture

const stage = new Stage($("canvas"), [], { changed: placeSlider, hover: showTip });
const painter = new Painter(stage, () => {
  current.edited = painter.history(current).done.length > 0;
  refresh();
});

// ---- pictures

function add(files) {
  const added = [...files].map((file) => ({ file, name: file.name || "picture.png", state: "waiting" }));
  items.push(...added);
  for (const item of added) addToStrip($("strip").querySelector("ul"), item, stage.colors, select);
  if (added.length) select(added[0]);
  work();
}

async function select(item) {
  current = item;
  if (!item.bitmap && item.state !== "failed") {
    try {
      item.bitmap = await createImageBitmap(item.file, { imageOrientation: "from-image" });
      [item.width, item.height] = [item.bitmap.width, item.bitmap.height];
    } catch {
      fail(item, words().unreadable);
    }
  }
  if (current !== item) return;
  stage.hidden.clear();
  if (item.bitmap) stage.show(item);
  refresh();
}

async function work() {
  if (working || !model.ready) return;
  const item = current?.state === "waiting" ? current : items.find((each) => each.state === "waiting");
  if (!item) return;
  working = { item, controller: new AbortController(), began: performance.now() };
  item.state = "sending";
  item.sent = 0;
  refresh();
  const clock = setInterval(showStatus, 200);
  try {
    item.maps = await predict(item.file, item.name, (share) => {
      item.sent = share;
      if (share === 1) [item.state, working.began] = ["labelling", performance.now()];
      showStatus();
    }, working.controller.signal);
    item.seconds = (performance.now() - working.began) / 1000;
    item.bitmap ??= await createImageBitmap(item.file, { imageOrientation: "from-image" });
    [item.width, item.height] = [item.bitmap.width, item.bitmap.height];
    if (item.width !== item.maps.width || item.height !== item.maps.height) throw new ServiceError(words().differs, "differs");
    pace = item.seconds / ((item.width * item.height) / 1e6);
    item.original = item.maps.labels.slice();
    item.state = "done";
    $("spoken").textContent = words().said(item.name, told(shares(item.maps, model.classes)));
  } catch (error) {
    if (error.code === "queue_full" || error.code === "not_ready") await pause(item, Math.max(1, error.retryAfter || 2));
    else fail(item, error.code === "offline" ? words().offline : error.code === "cancelled" ? words().failed : error.message);
  }
  clearInterval(clock);
  working = null;
  drawThumb(item, stage.colors);
  if (current === item && item.bitmap) stage.show(item);
  refresh();
  work();
}

async function pause(item, seconds) {
  for (let left = Math.ceil(seconds); left > 0; left--) {
    item.note = words().busy(left);
    showStatus();
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  item.note = null;
  item.state = "waiting";
}

function fail(item, message) {
  item.state = "failed";
  item.error = message;
  $("spoken").textContent = `${item.name}: ${message}`;
}

// ---- what is shown

function refresh() {
  const known = words();
  const there = current !== null;
  $("drop").hidden = there;
  $("canvas").hidden = !current?.bitmap;
  $("zoom").hidden = !current?.bitmap;
  $("strip").hidden = !there;
  $("side").hidden = !current?.maps;
  showStatus();
  for (const item of items) {
    item.button.setAttribute("aria-current", String(item === current));
    item.button.dataset.state = item.state;
    item.button.classList.toggle("edited", Boolean(item.edited));
  }
  $("slider").hidden = !(current?.maps && stage.view === "slider");
  if (!current?.maps) {
    if (there) $("canvas").setAttribute("aria-label", current.name);
    return;
  }
  const rows = shares(current.maps, model.classes);
  const picked = painter.tool === "look" ? null : painter.label;
  fillLegend($("legend"), rows, model.classes, stage.hidden, picked, { hide, solo, pick });
  $("all").hidden = stage.hidden.size === 0;
  $("canvas").setAttribute("aria-label", known.said(current.name, told(rows)));
  $("opacity").hidden = !["overlay", "slider"].includes(stage.view);
  segments($("views"), ["overlay", "mask", "confidence", "entropy", "slider"], stage.view, setView);
  $("facts").textContent = known.facts(current.width, current.height, current.seconds.toFixed(current.seconds < 10 ? 1 : 0));
  $("tools").hidden = collection === null;
  if (collection) {
    segments($("tool"), ["look", "brush", "eraser", "fill"], painter.tool, setTool);
    const history = painter.history(current);
    $("undo").disabled = !history.done.length;
    $("redo").disabled = !history.undone.length;
    $("brushClass").textContent = picked === null ? "" : known.paints(model.classes[painter.label]?.name ?? "");
    $("collected").textContent = (current.saved ? `${known.saved}. ` : "") + known.collected(collection.count, collection.folder);
  }
  placeSlider();
}

function showStatus() {
  const known = words();
  const item = current;
  const busy = item && ["waiting", "sending", "labelling", "failed"].includes(item.state);
  $("status").hidden = !(busy || (!model.ready && !model.failed));
  if ($("status").hidden) return;
  const [text, bar, button] = $("status").children;
  bar.hidden = item?.state === "failed" || !item;
  button.hidden = !item || item.state === "failed";
  $("status").classList.toggle("bad", item?.state === "failed" || Boolean(model.failed));
  bar.removeAttribute("value");
  if (!item || !model.ready) text.textContent = model.failed ?? known.loading;
  else if (item.state === "failed") text.textContent = item.error;
  else if (item.note) text.textContent = item.note;
  else if (item.state === "waiting") text.textContent = known.waiting;
  else if (item.state === "sending") {
    text.textContent = known.sending;
    if (item.sent) bar.value = item.sent;
  } else {
    const spent = (performance.now() - working.began) / 1000;
    const expected = pace && item.width ? (pace * item.width * item.height) / 1e6 : null;
    text.textContent = expected && expected > 2 ? `${known.labelling}, ${known.about(Math.max(1, Math.round(expected - spent)))}` : known.labelling;
    if (expected && expected > 1) bar.value = Math.min(0.98, spent / expected);
  }
}

function segments(element, names, chosen, choose) {
  if (element.childElementCount !== names.length) {
    element.replaceChildren(...names.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.dataset.name = name;
      button.addEventListener("click", () => choose(name));
      return button;
    }));
    element.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const next = element.children[(names.indexOf(event.target.dataset.name) + step + names.length) % names.length];
      next.click();
      next.focus();
    });
  }
  for (const button of element.children) {
    const isChosen = button.dataset.name === chosen;
    button.textContent = words()[button.dataset.name];
    button.setAttribute("aria-checked", String(isChosen));
    button.tabIndex = isChosen ? 0 : -1;
  }
}

function setView(view) {
  stage.view = view;
  stage.paintLayer();
  refresh();
}

function setTool(tool) {
  painter.use(tool);
  if (tool !== "look" && !["overlay", "mask"].includes(stage.view)) setView("overlay");
  $("canvas").classList.toggle("painting", tool !== "look");
  refresh();
}

function hide(id, off) {
  stage.hidden[off ? "add" : "delete"](id);
  stage.paintLayer();
  refresh();
}

function solo(id) {
  const others = model.classes.map((each) => each.id).filter((each) => each !== id);
  const alone = others.every((each) => stage.hidden.has(each)) && !stage.hidden.has(id);
  stage.hidden = new Set(alone ? [] : others);
  stage.paintLayer();
  refresh();
}

function pick(id) {
  painter.label = id;
  refresh();
}

function showTip(place) {
  const tip = $("tip");
  const maps = current?.maps;
  const x = Math.floor(place?.x ?? -1), y = Math.floor(place?.y ?? -1);
  tip.hidden = !maps || x < 0 || y < 0 || x >= maps.width || y >= maps.height;
  if (tip.hidden) return;
  const at = y * maps.width + x;
  const label = maps.labels[at];
  const known = words();
  const swatch = document.createElement("i");
  swatch.style.setProperty("--color", `rgb(${(model.classes[label]?.color ?? [224, 224, 192]).join(" ")})`);
  const sure = stage.view === "entropy" ? known.doubt(Math.round(maps.entropy[at] / 2.55)) : known.sure(Math.round(maps.confidence[at] / 2.55));
  const name = document.createElement("b");
  name.textContent = model.classes[label]?.name ?? "void";
  tip.replaceChildren(swatch, name, ` ${maps.labels[at] === current.original[at] ? sure : ""}`);
  const room = $("stage").clientWidth - tip.offsetWidth - 8;
  tip.style.translate = `${Math.min(place.left + 14, room)}px ${place.top < 60 ? place.top + 18 : place.top - 40}px`;
}

function placeSlider() {
  if ($("slider").hidden || !current?.maps) return;
  $("slider").style.translate = `${stage.splitLeft}px 0`;
  $("slider").setAttribute("aria-valuenow", String(Math.round(100 * stage.split)));
}

function neighbour(step) {
  const at = items.indexOf(current) + step;
  if (items[at]) select(items[at]);
}

async function saveCorrection() {
  const item = current;
  const form = new FormData();
  form.append("image", item.file, item.name);
  form.append("mask", await maskOf(item, stage.colors), "mask.png");
  try {
    const reply = await send("/v1/collect", form);
    collection = JSON.parse(await reply.text());
    item.saved = true;
    $("spoken").textContent = words().saved;
  } catch (error) {
    $("spoken").textContent = error.message;
    window.alert(error.code === "offline" ? words().offline : error.message);
  }
  refresh();
}

// ---- events

function listen() {
  $("pick").onclick = $("more").onclick = () => $("files").click();
  $("camera").onclick = () => $("shot").click();
  for (const id of ["files", "shot"]) {
    $(id).onchange = () => {
      add($(id).files);
      $(id).value = "";
    };
  }
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => add(event.clipboardData.files));
  $("opacity").querySelector("input").oninput = (event) => {
    stage.opacity = event.target.value / 100;
    $("opacity").querySelector("output").textContent = `${event.target.value} %`;
    stage.draw();
  };
  $("size").oninput = () => {
    painter.size = Number($("size").value);
    $("size").nextElementSibling.textContent = `${painter.size} px`;
  };
  $("all").onclick = () => {
    stage.hidden.clear();
    stage.paintLayer();
    refresh();
  };
  $("zoom").onclick = (event) => {
    const kind = event.target.closest("button")?.dataset.zoom;
    if (kind === "fit") stage.fit();
    else if (kind) stage.zoom(kind === "in" ? 1.5 : 1 / 1.5);
  };
  $("status").querySelector("button").onclick = () => {
    if (working?.item === current) working.controller.abort();
    else if (current.state === "waiting") fail(current, words().failed);
    refresh();
  };
  $("undo").onclick = () => painter.undo();
  $("redo").onclick = () => painter.redo();
  $("save").onclick = saveCorrection;
  $("getMask").onclick = () => giveMask(current, stage.colors);
  $("getOverlay").onclick = () => giveOverlay(current, stage.colors, stage.hidden, stage.opacity);
  $("getJson").onclick = () => giveJson(current, model);
  $("model").onclick = () => tellModel(model);
  $("help").onclick = () => tell(words().keys, words().keyList);
  $("language").onclick = () => {
    otherLanguage();
    translate();
    describe();
    refresh();
  };
  $("theme").onclick = () => setTheme(isDark() ? "light" : "dark");
  listenSlider();
  const resize = (change) => {
    $("size").value = painter.size + change;
    $("size").oninput();
  };
  listenKeys(stage, painter, { neighbour, setView, resize, canPaint: () => collection !== null });
}

function listenSlider() {
  const slider = $("slider");
  const drag = (event) => {
    stage.split = Math.min(1, Math.max(0, stage.place(event).x / current.width));
    stage.draw();
  };
  slider.onpointerdown = (event) => slider.setPointerCapture(event.pointerId);
  slider.onpointermove = (event) => slider.hasPointerCapture(event.pointerId) && drag(event);
  slider.onkeydown = (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    stage.split = Math.min(1, Math.max(0, stage.split + step));
    stage.draw();
  };
}

// ---- start

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

function describe() {
  const { formats, max_side: side, max_bytes: bytes } = model.limits;
  $("model").textContent = model.name;
  $("model").hidden = !model.name;
  $("formats").textContent = formats ? words().formats(formats.join(", "), side.toLocaleString(), Math.round(bytes / 2 ** 20)) : "";
}

async function connect() {
  for (;;) {
    try {
      model = { ...(await getJson("/v1/model")), ready: true };
      return;
    } catch (error) {
      if (error.code === "unauthorized" || error.code === "401") bear(window.prompt(words().token) ?? "");
      else {
        model.failed = error.code === "not_ready" && error.retryAfter ? null : error.message || words().offline;
        showStatus();
        await new Promise((resolve) => setTimeout(resolve, 1500));
      }
    }
  }
}

async function offerExamples() {
  const names = (await getJson("/v1/examples").catch(() => ({ examples: [] }))).examples;
  $("examples").hidden = !names.length;
  for (const [index, name] of names.entries()) {
    const blob = await getBlob(`/v1/examples/${index}`);
    const button = document.createElement("button");
    button.type = "button";
    const picture = document.createElement("img");
    picture.src = URL.createObjectURL(blob);
    picture.alt = name;
    button.append(picture);
    button.onclick = () => add([new File([blob], name, { type: blob.type })]);
    $("examples").querySelector("div").append(button);
  }
}

if (localStorage.getItem("theme")) setTheme(localStorage.getItem("theme"));
if (!matchMedia("(pointer: coarse)").matches) $("camera").hidden = true;
translate();
listen();
refresh();
await connect();
stage.colors = model.classes.map((each) => each.color);
collection = await getJson("/v1/collect").catch(() => null);
describe();
refresh();
work();
await offerExamples();
