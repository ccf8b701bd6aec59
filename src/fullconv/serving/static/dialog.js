// The dialog: about the model, and the keys.

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
    architecture: model.architecture && [model.architecture.model, model.architecture.backbone].filter((each) => each !== "none").join(", "),
    parameters: model.parameters && `${(model.parameters / 1e6).toFixed(1)} M`,
    mean_iou: model.metrics?.mean_iou && `${(100 * model.metrics.mean_iou).toFixed(1)} (${model.metrics.split})`,
  };
  const facts = words().modelFacts;
  tell(model.name, Object.keys(facts).filter((key) => about[key]).map((key) => [facts[key], about[key]]));
}
