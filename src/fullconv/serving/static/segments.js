// A row of buttons of which one is chosen, as a radio group: arrow keys go from one to the next.

import { words } from "./words.js";

export function segments(element, names, chosen, choose, icons = false) {
  if (!element.children.length) build(element, names, choose, icons);
  for (const button of element.children) {
    const isChosen = button.dataset.name === chosen;
    button.lastChild.textContent = words()[button.dataset.name];
    button.setAttribute("aria-checked", String(isChosen));
    button.tabIndex = isChosen ? 0 : -1;
  }
}

function build(element, names, choose, icons) {
  for (const name of names) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.name = name;
    button.setAttribute("role", "radio");
    if (icons) button.append(icon(name));
    button.append(document.createElement("span"));
    button.addEventListener("click", () => choose(name));
    element.append(button);
  }
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

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}
