// What keys do.

// `on` has neighbour(step), setView(name), setTool(name), resize(change), remove(), read(right, down), press().
export function listenKeys(stage, painter, on) {
  const step = 60;
  const actions = {
    "+": () => stage.zoom(1.5), "=": () => stage.zoom(1.5), "-": () => stage.zoom(1 / 1.5), 0: () => stage.fit(),
    ArrowLeft: () => stage.move(step, 0), ArrowRight: () => stage.move(-step, 0), ArrowUp: () => stage.move(0, step), ArrowDown: () => stage.move(0, -step),
    PageUp: () => on.neighbour(-1), PageDown: () => on.neighbour(1),
    1: () => on.setView("overlay"), 2: () => on.setView("mask"), 3: () => on.setView("slider"), 4: () => on.setView("confidence"), 5: () => on.setView("entropy"),
    v: () => on.setTool("look"), b: () => on.setTool("brush"), e: () => on.setTool("eraser"), f: () => on.setTool("fill"),
    "[": () => on.resize(1 / 1.25), "]": () => on.resize(1.25),
    " ": () => bare(true), Delete: () => on.remove(), Enter: () => on.press(),
  };
  const reading = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const bare = (isOn) => {
    stage.bare = isOn;
    stage.draw();
  };
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || !stage.item?.bitmap || event.altKey) return;
    const onControl = event.target.closest("button, input, [role=slider]");
    if (event.ctrlKey || event.metaKey) {
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      key === "y" || event.shiftKey ? painter.redo() : painter.undo();
      return;
    }
    if (onControl && /^(Arrow.*| |Enter)$/.test(event.key)) return;
    if (event.shiftKey && reading[event.key]) {
      event.preventDefault();
      on.read(...reading[event.key]);
      return;
    }
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  addEventListener("keyup", (event) => event.key === " " && stage.bare && bare(false));
  addEventListener("blur", () => stage.bare && bare(false));
}
