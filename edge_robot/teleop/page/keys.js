// The page's keys: the stop above all, then wheel, limit, goal and help. Driving keys are inputs.js'.

import { byId } from "./dom.js";

const TYPING = "input:not([type=range]), textarea, select, [contenteditable]";

// A hand that drives by keys goes on driving while the other one uses the mouse: that leaves the focus where it is.
function keepFocus() {
  const driving = () => document.documentElement.dataset.wheel === "yours";
  addEventListener("mousedown", (event) => {
    if (driving() && event.target.closest("button, #map")) event.preventDefault();
  });
  byId("speed-limit").addEventListener("pointerup", () => driving() && byId("camera-screen").focus());
}

function toggle(dialog) {
  if (dialog.open) dialog.close();
  else dialog.show();
}

export function startKeys({ stop, wheel, goal }) {
  const help = byId("help-dialog");
  byId("help").addEventListener("click", () => toggle(help));
  keepFocus();

  const isStop = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    // Escape in a dialog closes it, as everywhere; beside it, it stops.
    if (event.key === "Escape") return !document.querySelector("dialog[open]");
    if (event.code !== "Space" || event.target.matches(TYPING)) return false;
    // With the wheel in one's hands Space stops, whatever has the focus; without it, it presses the focused button.
    return document.documentElement.dataset.wheel === "yours" || !event.target.closest("button, a, summary");
  };
  // Captured, so that nothing on the page can keep the stop from being heard.
  addEventListener("keydown", (event) => {
    if (!isStop(event)) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) stop.press();
  }, { capture: true });
  // A button is pressed when Space is let go.
  addEventListener("keyup", (event) => {
    if (event.code === "Space" && isStop(event)) event.preventDefault();
  }, { capture: true });

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches(TYPING)) return;
    if (event.key === "?") toggle(help);
    const dialog = document.querySelector("dialog[open]");
    if (dialog && event.key === "Escape") dialog.close();
    if (dialog) return;
    const action = {
      t: () => byId("hand-back").hidden && wheel.take(),
      h: () => byId("hand-back").hidden || wheel.handBack(),
      g: () => byId("goal-mode").disabled || goal.aim(true),
      ",": () => byId("speed-limit").disabled || wheel.nudge(-1),
      ".": () => byId("speed-limit").disabled || wheel.nudge(1),
    }[event.key.toLowerCase()];
    action?.();
  });
}
