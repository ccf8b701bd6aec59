// What keys do.

// `neighbour(step)` goes to another picture, `setView(name)` changes the view, `canPaint()` says whether corrections are on.
export function listenKeys(stage, painter, { neighbour, setView, resize, canPaint }) {
  const step = 60;
  const actions = {
    "+": () => stage.zoom(1.5), "=": () => stage.zoom(1.5), "-": () => stage.zoom(1 / 1.5), 0: () => stage.fit(),
    ArrowLeft: () => stage.move(step, 0), ArrowRight: () => stage.move(-step, 0), ArrowUp: () => stage.move(0, step), ArrowDown: () => stage.move(0, -step),
    PageUp: () => neighbour(-1), PageDown: () => neighbour(1),
    1: () => setView("overlay"), 2: () => setView("mask"), 3: () => setView("confidence"), 4: () => setView("entropy"), 5: () => setView("slider"),
    "[": () => resize(-2), "]": () => resize(2),
    " ": () => bare(true),
  };
  const bare = (on) => {
    stage.bare = on;
    stage.draw();
  };
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || !stage.item?.bitmap) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey) {
      const key = event.key.toLowerCase();
      if (canPaint() && (key === "z" || key === "y")) {
        event.preventDefault();
        key === "y" || event.shiftKey ? painter.redo() : painter.undo();
      }
      return;
    }
    const onControl = event.target.closest("button, input, [role=slider]");
    if (onControl && !event.key.startsWith("Page") && !/^[\d\[\]+=-]$/.test(event.key)) return;
    const action = actions[event.key];
    if (!action || event.altKey) return;
    event.preventDefault();
    action();
  });
  addEventListener("keyup", (event) => event.key === " " && stage.bare && bare(false));
}
