// Dark or light: as the system says, or as the operator chose; and the colours of the theme for the canvases.

import { byId } from "./dom.js";

const KEY = "edge_robot.theme";
const CHOICES = ["system", "dark", "light"];
const SIGNS = { system: "◐", dark: "☾", light: "☀" };
const cache = new Map();
const probe = document.createElement("i");
const changed = new EventTarget();

/** Returns the colour `--name` of the theme as a canvas takes it. */
export function colour(name) {
  if (!cache.has(name)) {
    if (!probe.isConnected) {
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `var(--${name})`;
    cache.set(name, getComputedStyle(probe).color);
  }
  return cache.get(name);
}

/** Calls `then` whenever the colours change. */
export function onColours(then) {
  changed.addEventListener("change", then);
}

function refresh() {
  cache.clear();
  changed.dispatchEvent(new Event("change"));
}

// A browser that keeps nothing for us (private window) still changes its colours.
function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function choose(choice) {
  document.documentElement.dataset.theme = choice;
  const button = byId("theme");
  button.textContent = SIGNS[choice];
  button.setAttribute("aria-label", `Colours: ${choice === "system" ? "as the system" : choice}`);
  button.title = button.getAttribute("aria-label");
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // Kept for this page only.
  }
  refresh();
}

export function startTheme() {
  choose(CHOICES.includes(stored()) ? stored() : "system");
  byId("theme").addEventListener("click", () => {
    const now = CHOICES.indexOf(document.documentElement.dataset.theme);
    choose(CHOICES[(now + 1) % CHOICES.length]);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
}
