// The page, put together.

import { bear, getBlob, getJson } from "./api.js";
import { Collector } from "./collect.js";
import { css } from "./colors.js";
import { askToken, tell, tellModel, toast } from "./dialog.js";
import { giveJson, giveMask, giveOverlay } from "./give.js";
import { listenKeys } from "./keys.js";
import { fillLegend, nameOf, shares, shown, told } from "./legend.js";
import { Painter } from "./paint.js";
import { Queue, spoken } from "./queue.js";
import { segments } from "./segments.js";
import { Stage } from "./stage.js";
import { addToStrip, drawThumb } from "./strip.js";
import { otherLanguage, translate, words } from "./words.js";

const $ = (id) => document.getElementById(id);
const VIEWS = ["overlay", "mask", "slider", "confidence", "entropy"];
const TOOLS = ["look", "brush", "eraser", "fill"];

const say = (text) => ($("spoken").textContent = text);
const collector = new Collector();
const stage = new Stage($("canvas"), { changed: afterDrawing, hover: showTip, pick: pickUnder });
const painter = new Painter(stage, (item) => {
  item.edited = painter.history(item).done.length > 0;
  item.version = (item.version ?? 0) + 1;
  item.saved = false;
  item.counts = null;
  drawThumb(item, () => stage.colors);
  refresh();
});
const queue = new Queue({
  changed: (item) => (item ? refreshItem(item) : refresh()),
  done(item) {
    drawThumb(item, () => stage.colors);
    if (item === queue.current && item.bitmap) stage.show(item);
    say(words().said(item.name, told(shares(item, queue.model.classes))));
  },
  async ready(model) {
    stage.colors = model.classes.map((each) => each.color);
    describe(model);
    await collector.look();
    if (!$("examples").querySelector("button")) await offerExamples();
  },
  async token() {
    bear(await askToken());
  },
});

// ---- pictures

function add(files) {
  const added = queue.add(files);
  for (const item of added) addToStrip($("strip").querySelector("ul"), item, () => stage.colors, { choose: select, drop: remove });
  if (added.length) select(added[0]);
  return added;
}

async function select(item) {
  queue.current = item;
  item.isAhead = false;
  if (!item.bitmap) stage.show(null);
  refresh();
  queue.work();
  await queue.open(item);
  if (queue.current !== item) return;
  stage.show(item.bitmap ? item : null);
  item.button.scrollIntoView({ block: "nearest", inline: "nearest" });
  refresh();
}

function remove(item) {
  const at = queue.items.indexOf(item);
  queue.remove(item);
  item.entry.remove();
  if (item !== queue.current) return;
  const next = queue.items[at] ?? queue.items[at - 1];
  if (next) {
    select(next);
    next.button.focus();
    return;
  }
  queue.current = null;
  stage.show(null);
  refresh();
  $("pick").focus();
}

function neighbour(step) {
  const item = queue.items[queue.items.indexOf(queue.current) + step];
  if (item) select(item);
}

// ---- what is shown

function refreshItem(item) {
  markThumb(item);
  if (item === queue.current) refresh();
}

function markThumb(item) {
  const known = words();
  item.button.setAttribute("aria-current", String(item === queue.current));
  item.button.dataset.state = item.state;
  item.button.dataset.mark = item.saved ? "✓" : item.edited ? "✎" : item.state === "failed" ? "!" : "";
  const state = item.saved ? known.saved : item.state === "failed" ? known.failedShort : item.state === "done" ? "" : known.waiting;
  item.button.setAttribute("aria-label", state ? `${item.name}, ${state}` : item.name);
}

function refresh() {
  const item = queue.current;
  const isThere = item !== null, isDone = Boolean(item?.maps && item.bitmap && queue.model);
  document.body.classList.toggle("empty", !isThere);
  $("drop").hidden = isThere;
  $("canvas").hidden = !item?.bitmap;
  $("bar").hidden = $("strip").hidden = !isThere;
  $("bar").inert = !isDone;
  $("side").hidden = !isThere;
  $("side").inert = !isDone;
  showStatus();
  queue.items.forEach(markThumb);
  $("slider").hidden = !(isDone && stage.view === "slider");
  refreshBar();
  $("startWatch").hidden = !collector.watch.on;
  if (isDone) refreshSide(item);
  else if (isThere) clearSide(item);
  afterDrawing();
}

function refreshBar() {
  const known = words();
  const isMap = stage.view === "confidence" || stage.view === "entropy";
  segments($("views"), VIEWS, stage.view, setView);
  $("opacity").hidden = isMap || stage.view === "mask";
  $("scale").hidden = !isMap;
  [$("scale").firstElementChild.textContent, $("scale").lastElementChild.textContent] = stage.view === "entropy" ? [known.sureEnd, known.unsureEnd] : [known.unsureEnd, known.sureEnd];
}

function clearSide(item) {
  $("canvas").setAttribute("aria-label", item.name);
  $("legend").replaceChildren();
  $("legend").dataset.key = "";
  $("all").hidden = true;
  $("facts").textContent = item.name;
  refreshTools(item);
}

function refreshSide(item) {
  const known = words();
  const isPainting = painter.tool === "brush" || painter.tool === "fill";
  fillLegend($("legend"), item, queue.model.classes, stage.hidden, isPainting ? painter.label : null, { hide, solo, pick });
  $("all").hidden = stage.hidden.size === 0;
  $("canvas").setAttribute("aria-label", known.said(item.name, told(shares(item, queue.model.classes))));
  $("facts").textContent = `${item.name} · ${known.facts(item.width, item.height, item.seconds.toFixed(item.seconds < 1 ? 2 : item.seconds < 10 ? 1 : 0))}`;
  refreshTools(item);
}

function refreshTools(item) {
  const known = words();
  segments($("tool"), TOOLS, painter.tool, setTool, true);
  $("brushSize").hidden = painter.tool !== "brush" && painter.tool !== "eraser";
  $("hint").textContent = known.hints[painter.tool](nameOf(queue.model?.classes ?? [], painter.label));
  const history = painter.history(item);
  $("undo").disabled = !history.done.length;
  $("redo").disabled = !history.undone.length;
  const { on, count, folder, splits } = collector.state;
  $("save").hidden = !on;
  $("save").disabled = Boolean(item.saved || item.saving);
  $("save").textContent = item.saved ? `✓ ${known.saved}` : known.save;
  $("next").hidden = !collector.watch.on;
  $("next").lastElementChild.textContent = known.next;
  const what = on ? known.collected(count, folder, splits.val ?? 0) : known.notCollecting;
  $("collected").textContent = collector.watch.on ? `${what} ${collector.left}` : what;
}

function showStatus() {
  const known = words();
  const { current: item, model, trouble } = queue;
  const [spin, text, bar, button] = $("status").children;
  const isFailed = item?.state === "failed", isBusy = item && ["waiting", "sending", "labelling"].includes(item.state);
  const isBad = isFailed || (trouble !== null && trouble !== "loading");
  $("status").hidden = !(isFailed || isBusy || trouble !== null);
  $("status").classList.toggle("bad", isBad);
  if ($("status").hidden) return;
  const expected = isBusy && model ? queue.expected(item) : null;
  const share = item?.state === "sending" && item.sent ? item.sent : expected?.share;
  spin.hidden = isFailed || (isBad && trouble !== "offline");
  bar.hidden = share === undefined || Boolean(trouble);
  if (share !== undefined) bar.value = share;
  button.hidden = !(isFailed || isBusy);
  button.textContent = isFailed ? known.again : known.cancel;
  let said = known[item?.state] ?? "";
  if (isFailed) said = item.error;
  else if (trouble !== null) said = trouble === "loading" ? known.loading : trouble === "offline" ? known.offline : known.noModel(trouble);
  else if (item.note) said = item.note;
  else if (expected) said = `${known.labelling} · ${known.about(expected.left)}`;
  if (text.textContent !== said) text.textContent = said;
  if (said !== showStatus.said && (isBad || trouble)) say(said);
  showStatus.said = said;
}

function afterDrawing() {
  if (stage.item?.bitmap) {
    const percent = (100 * stage.scale) / stage.ratio;
    $("zoom").querySelector(".percent").textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  }
  if ($("slider").hidden || !stage.item?.bitmap) return;
  $("slider").style.translate = `${stage.splitLeft}px 0`;
  $("slider").setAttribute("aria-valuenow", String(Math.round(100 * stage.split)));
}

// ---- what the user chooses

function setView(view) {
  stage.view = view;
  stage.paintLayer();
  refresh();
}

function setTool(tool) {
  if (!queue.current?.maps) return;
  if (painter.tool === "look" && tool !== "look" && stage.view !== "mask") setView("overlay");
  painter.use(tool);
  $("canvas").classList.toggle("painting", tool !== "look");
  showTip(null);
  refresh();
}

function hide(id, off) {
  stage.hidden[off ? "add" : "delete"](id);
  stage.paintLayer();
  refresh();
}

function solo(id) {
  const others = [...queue.model.classes.map((each) => each.id), 255].filter((each) => each !== id);
  const isAlone = others.every((each) => stage.hidden.has(each)) && !stage.hidden.has(id);
  stage.hidden = new Set(isAlone ? [] : others);
  if (stage.view === "confidence" || stage.view === "entropy") stage.view = "overlay";
  stage.paintLayer();
  refresh();
}

function pick(id) {
  painter.label = id;
  stage.hidden.delete(id); // what is painted is to be seen
  stage.paintLayer();
  refresh();
}

function labelAt({ x, y }) {
  const maps = queue.current?.maps;
  const column = Math.floor(x), row = Math.floor(y);
  if (!maps || stage.item !== queue.current || column < 0 || row < 0 || column >= maps.width || row >= maps.height) return null;
  const at = row * maps.width + column;
  return { label: maps.labels[at], at, isOwn: queue.current.original && queue.current.original[at] !== maps.labels[at] };
}

function pickUnder(place) {
  const found = labelAt(place);
  if (found) pick(found.label);
}

function showTip(place) {
  const found = place && labelAt(place);
  $("tip").hidden = !found;
  if (!found) return null;
  const known = words();
  const { maps } = queue.current;
  const swatch = document.createElement("i"), name = document.createElement("b"), sure = document.createElement("span");
  swatch.style.setProperty("--color", css(stage.colors[found.label] ?? [224, 224, 192]));
  name.textContent = nameOf(queue.model.classes, found.label);
  const percent = (value) => Math.round(value / 2.55);
  sure.textContent = found.isOwn ? known.own : stage.view === "entropy" ? known.doubt(percent(maps.entropy[found.at])) : known.sure(percent(maps.confidence[found.at]));
  $("tip").replaceChildren(swatch, name, sure);
  const room = $("stage").clientWidth - $("tip").offsetWidth - 8;
  $("tip").style.translate = `${Math.max(8, Math.min(place.left + 14, room))}px ${place.top < 64 ? place.top + 22 : place.top - 44}px`;
  return `${name.textContent}, ${sure.textContent}`;
}

function read(right, down) {
  if (!queue.current?.maps) return;
  const told = showTip(stage.moveCursor(right, down));
  if (told) say(told);
}

// The brush, pressed at the keyboard's place.
function press() {
  if (!stage.cursor || painter.tool === "look" || !queue.current?.maps) return;
  painter.down(stage.cursor);
  painter.up();
  say(showTip(stage.placeOf(stage.cursor)) ?? "");
}

function resize(factor) {
  const size = factor > 1 ? Math.ceil(painter.size * factor) : Math.floor(painter.size * factor);
  $("size").value = Math.max(1, size);
  $("size").oninput();
}

// ---- correcting

async function save() {
  const item = queue.current;
  item.saving = true;
  refresh();
  try {
    const { split } = await collector.save(item, stage.colors);
    toast(words().savedIn(collector.state.folder, split === "val"));
    say(words().saved);
  } catch (error) {
    toast(error.code === "offline" ? words().saveOffline : spoken(error), true);
    if (error.code === "offline") reconnect();
  }
  item.saving = false;
  refresh();
}

function reconnect() {
  if (queue.trouble !== null) return;
  queue.trouble = "offline";
  queue.connect();
}

// The most useful picture of the watched folder; the one after it is fetched meanwhile.
async function nextUseful() {
  $("next").disabled = $("startWatch").disabled = true;
  try {
    const ahead = queue.items.find((item) => item.isAhead);
    if (ahead) {
      ahead.isAhead = false;
      select(ahead);
    } else {
      const file = await collector.next();
      if (file) add([file]);
      else toast(words().left(0));
    }
    const file = await collector.next();
    if (file) {
      const [item] = queue.add([file]);
      item.isAhead = true;
      addToStrip($("strip").querySelector("ul"), item, () => stage.colors, { choose: select, drop: remove });
      queue.work();
    }
  } catch (error) {
    toast(error.code === "offline" ? words().offline : spoken(error), true);
    if (error.code === "offline") reconnect();
  }
  $("next").disabled = $("startWatch").disabled = false;
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
  addEventListener("beforeunload", (event) => {
    if (collector.state.on && queue.items.some((item) => item.edited && !item.saved)) event.preventDefault();
  });
  $("status").querySelector("button").onclick = () => {
    const item = queue.current;
    if (item.state === "failed") queue.again(item), queue.open(item).then(() => item === queue.current && item.bitmap && stage.show(item));
    else queue.cancel(item);
  };
  $("model").onclick = () => tellModel(queue.model);
  $("help").onclick = () => tell(words().keys, words().keyList);
  $("language").onclick = () => {
    otherLanguage();
    translate();
    if (queue.model) describe(queue.model);
    refresh();
  };
  $("theme").onclick = () => setTheme(isDark() ? "light" : "dark");
  listenPanel();
  listenSlider();
  listenKeys(stage, painter, { neighbour, setView, setTool, resize, read, press, remove: () => remove(queue.current) });
}

function listenPanel() {
  $("opacity").querySelector("input").oninput = (event) => {
    stage.opacity = event.target.value / 100;
    $("opacity").querySelector("output").textContent = `${event.target.value} %`;
    stage.draw();
  };
  $("size").oninput = () => {
    painter.size = Number($("size").value);
    $("size").nextElementSibling.textContent = `${painter.size} px`;
    stage.draw();
  };
  $("all").onclick = () => {
    stage.hidden.clear();
    stage.paintLayer();
    refresh();
  };
  $("zoom").onclick = (event) => {
    const kind = event.target.closest("button")?.dataset.zoom;
    if (!kind || !stage.item?.bitmap) return;
    if (kind === "fit") stage.fit();
    else stage.zoom({ in: 1.5, out: 1 / 1.5, one: stage.ratio / stage.scale }[kind]);
  };
  $("undo").onclick = () => painter.undo();
  $("redo").onclick = () => painter.redo();
  $("save").onclick = save;
  $("next").onclick = $("startWatch").onclick = nextUseful;
  $("getMask").onclick = () => giveMask(queue.current, stage.colors);
  $("getOverlay").onclick = () => giveOverlay(queue.current, stage.colors, stage.hidden, stage.opacity);
  $("getJson").onclick = () => giveJson(queue.current, queue.model);
}

function listenSlider() {
  const slider = $("slider");
  const to = (share) => {
    stage.split = Math.min(1, Math.max(0, share));
    stage.draw();
  };
  slider.onpointerdown = (event) => slider.setPointerCapture(event.pointerId);
  slider.onpointermove = (event) => slider.hasPointerCapture(event.pointerId) && to(stage.place(event).x / queue.current.width);
  slider.onkeydown = (event) => {
    const share = { ArrowLeft: stage.split - 0.02, ArrowRight: stage.split + 0.02, Home: 0, End: 1 }[event.key];
    if (share === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    to(share);
  };
}

// ---- start

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

function describe(model) {
  const { formats, max_side: side, max_bytes: bytes } = model.limits;
  document.title = `${model.name} · fullconv`;
  $("model").textContent = model.name;
  $("model").hidden = false;
  $("model").setAttribute("aria-label", `${words().aboutModel}: ${model.name}`);
  $("knows").textContent = words().knows(model.name, model.classes.length);
  $("palette").replaceChildren(
    ...model.classes.slice(0, 24).map((each) => {
      const entry = document.createElement("li");
      entry.style.setProperty("--color", css(each.color));
      entry.textContent = shown(each.name);
      return entry;
    }),
  );
  $("formats").textContent = words().formats(formats.filter((each) => each !== "TIFF").join(", "), side.toLocaleString("en"), Math.round(bytes / 2 ** 20));
}

async function offerExamples() {
  const { examples } = await getJson("/v1/examples");
  for (const [index, name] of examples.entries()) {
    const blob = await getBlob(`/v1/examples/${index}`);
    const button = document.createElement("button"), picture = document.createElement("img");
    button.type = "button";
    picture.src = URL.createObjectURL(blob);
    picture.alt = name;
    button.append(picture);
    button.onclick = () => add([new File([blob], name, { type: blob.type })]);
    $("examples").querySelector("div").append(button);
    $("examples").hidden = false;
  }
}

if (localStorage.getItem("theme")) setTheme(localStorage.getItem("theme"));
$("camera").hidden = !matchMedia("(pointer: coarse)").matches;
translate();
listen();
refresh();
setInterval(showStatus, 250);
setInterval(async () => {
  const { on, ranked, total } = collector.watch;
  if (!on || ranked === total || queue.trouble !== null) return;
  await collector.look().catch(() => {});
  refresh();
}, 3000);
queue.connect();
