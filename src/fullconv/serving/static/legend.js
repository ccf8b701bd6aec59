// The list of classes: colour, name, share, hide and solo.

import { CREAM, VOID, css } from "./colors.js";
import { words } from "./words.js";

// The pixels of each label of an item; counted anew after `item.counts = null`.
function counts(item) {
  if (item.counts) return item.counts;
  item.counts = new Uint32Array(256);
  const { labels } = item.maps;
  for (let index = 0; index < labels.length; index++) item.counts[labels[index]]++;
  return item.counts;
}

export const shown = (name) => name.replaceAll("_", " ");

const percent = (share) => (share >= 0.0995 ? `${Math.round(100 * share)} %` : share >= 0.0005 ? `${(100 * share).toFixed(1)} %` : "< 0.1 %");

export const voidClass = () => ({ id: VOID, name: words().void, color: CREAM });

export const nameOf = (classes, label) => (label === VOID ? words().void : shown(classes[label]?.name ?? String(label)));

// The classes that occur, the commonest first: [{id, name, color, share}].
export function shares(item, classes) {
  const found = counts(item);
  return [...classes, voidClass()]
    .map((each) => ({ ...each, share: found[each.id] / item.maps.labels.length }))
    .filter((each) => each.share > 0)
    .sort((a, b) => b.share - a.share);
}

export const told = (rows) => rows.map((row) => `${shown(row.name)} ${percent(row.share)}`).join(", ");

// Fills the list; `hidden` is a Set of ids; `picked` is the class that the brush paints, or null.
export function fillLegend(list, item, classes, hidden, picked, { hide, solo, pick }) {
  const rows = shares(item, classes);
  const absent = [...classes, voidClass()].filter((each) => !rows.some((row) => row.id === each.id)).map((each) => ({ ...each, share: 0 }));
  const all = picked === null ? rows : [...rows, ...absent].sort((a, b) => a.id - b.id);
  const key = JSON.stringify([all.map((row) => row.id), picked === null, words().other]);
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...all.map((row) => entry(row, picked !== null, { hide, solo, pick })));
    if (picked === null && absent.length > 1) list.append(rest(absent));
  }
  const most = rows[0]?.share || 1;
  const visible = all.filter((row) => !hidden.has(row.id));
  for (const [index, row] of all.entries()) {
    const [box, button, share, bar] = list.children[index].children;
    list.children[index].classList.toggle("off", hidden.has(row.id));
    list.children[index].classList.toggle("picked", picked === row.id);
    box.checked = !hidden.has(row.id);
    button.setAttribute("aria-pressed", String(picked === null ? visible.length === 1 && visible[0].id === row.id : picked === row.id));
    share.textContent = row.share ? percent(row.share) : "";
    bar.style.setProperty("--share", row.share / most);
  }
}

function entry(row, isPicking, { hide, solo, pick }) {
  const item = document.createElement("li");
  item.style.setProperty("--color", css(row.color));
  const box = document.createElement("input");
  box.type = "checkbox";
  box.setAttribute("aria-label", words().hide(shown(row.name)));
  box.title = words().hide(shown(row.name));
  box.addEventListener("change", () => hide(row.id, !box.checked));
  const button = document.createElement("button");
  button.type = "button";
  button.append(shown(row.name));
  button.title = isPicking ? words().paints(shown(row.name)) : words().solo(shown(row.name));
  button.addEventListener("click", () => (isPicking ? pick(row.id) : solo(row.id)));
  item.append(box, button, document.createElement("span"), document.createElement("i"));
  return item;
}

function rest(absent) {
  const item = document.createElement("li");
  item.className = "muted rest";
  item.textContent = words().absent(absent.length - 1);
  item.title = absent.filter((each) => each.id !== VOID).map((each) => shown(each.name)).join(", ");
  return item;
}
