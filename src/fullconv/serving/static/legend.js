// The list of classes: colour, name, share, hide and solo.

import { words } from "./words.js";

// The pixels of each label.
export function count(labels) {
  const counts = new Uint32Array(256);
  for (let index = 0; index < labels.length; index++) counts[labels[index]]++;
  return counts;
}

const percent = (share) => (share >= 0.0995 ? `${Math.round(100 * share)} %` : share >= 0.0005 ? `${(100 * share).toFixed(1)} %` : "< 0.1 %");

// The classes that occur, the commonest first: [{id, name, color, share}].
export function shares(maps, classes) {
  const counts = count(maps.labels);
  return classes
    .map((each) => ({ ...each, share: counts[each.id] / maps.labels.length }))
    .filter((each) => each.share > 0)
    .sort((a, b) => b.share - a.share);
}

export const told = (rows) => rows.map((row) => `${row.name} ${percent(row.share)}`).join(", ");

// Fills the list; `hidden` is a Set of ids; `picked` is the class that the brush paints, or null.
export function fillLegend(list, rows, classes, hidden, picked, { hide, solo, pick }) {
  const known = words();
  const all = picked === null ? rows : [...rows, ...classes.filter((each) => !rows.some((row) => row.id === each.id)).map((each) => ({ ...each, share: 0 }))];
  list.replaceChildren(
    ...all.map((row) => {
      const item = document.createElement("li");
      item.classList.toggle("off", hidden.has(row.id));
      item.classList.toggle("picked", picked === row.id);
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = !hidden.has(row.id);
      box.style.setProperty("--color", `rgb(${row.color.join(" ")})`);
      box.setAttribute("aria-label", known.hide(row.name));
      box.addEventListener("change", () => hide(row.id, !box.checked));
      const button = document.createElement("button");
      button.type = "button";
      button.append(row.name);
      button.setAttribute("aria-pressed", String(picked === row.id));
      if (picked === null) {
        button.title = known.solo(row.name);
        button.addEventListener("click", () => solo(row.id));
      } else {
        button.addEventListener("click", () => pick(row.id));
      }
      const share = document.createElement("span");
      share.textContent = row.share ? percent(row.share) : "";
      const bar = document.createElement("i");
      bar.style.setProperty("--share", row.share / (rows[0]?.share || 1));
      bar.style.setProperty("--color", `rgb(${row.color.join(" ")})`);
      item.append(box, button, share, bar);
      return item;
    }),
  );
  const absent = classes.length - rows.length;
  if (picked === null && absent > 0) {
    const rest = document.createElement("li");
    rest.className = "muted rest";
    rest.textContent = known.absent(absent);
    list.append(rest);
  }
}
