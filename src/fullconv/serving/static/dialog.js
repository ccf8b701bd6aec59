// What comes up over the page: about the model, the keys, the token, short messages.

import { shown } from "./legend.js";
import { words } from "./words.js";

const $ = (id) => document.getElementById(id);

export function tell(title, rows) {
  $("aboutTitle").textContent = title;
  const list = document.createElement("dl");
  for (const [term, text] of rows) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = text;
    list.append(dt, dd);
  }
  $("about").querySelector("div").replaceChildren(list);
  $("about").showModal();
}

export function tellModel(model) {
  const about = {
    ...model,
    architecture: model.architecture && [model.architecture.model, model.architecture.backbone].filter((each) => each && each !== "none").join(", "),
    parameters: model.parameters && `${(model.parameters / 1e6).toFixed(1)} M`,
    mean_iou: model.metrics?.mean_iou && `${(100 * model.metrics.mean_iou).toFixed(1)} %${model.metrics.split ? ` (${model.metrics.split})` : ""}`,
    classes: model.classes.map((each) => shown(each.name)).join(", "),
    engine: `${model.engine.name}, ${model.engine.device}, ${model.engine.precision}`,
  };
  const facts = words().modelFacts;
  tell(model.name, Object.keys(facts).filter((key) => about[key]).map((key) => [facts[key], about[key]]));
}

// Asks for the token; resolves once one is given.
export function askToken() {
  return new Promise((resolve) => {
    $("token").value = "";
    $("ask").onclose = () => resolve($("token").value.trim());
    $("ask").showModal();
  });
}

let hiding = 0;

export function toast(text, isBad = false) {
  clearTimeout(hiding);
  $("toast").textContent = text;
  $("toast").classList.toggle("bad", isBad);
  $("toast").hidden = false;
  hiding = setTimeout(() => ($("toast").hidden = true), isBad ? 9000 : 3500);
}
