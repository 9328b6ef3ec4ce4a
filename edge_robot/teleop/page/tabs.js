// Tabs, as WAI-ARIA has them: arrows move between them, only the chosen one is in the order of focus.

import { byId } from "./dom.js";

const NARROW = matchMedia("(max-width: 640px) and (orientation: portrait)");

/**
 * Starts the tabs. On a narrow screen the map is one of them; elsewhere it stands beside.
 * @param {(id: string) => void} shown - called with the id of the panel that is now shown.
 */
export function startTabs(shown) {
  const list = document.querySelector(".tabs");
  const all = [...list.querySelectorAll('[role="tab"]')];
  const usable = () => all.filter((tab) => tab.offsetParent !== null);

  function choose(chosen, focus = false) {
    for (const tab of all) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      const panel = byId(tab.getAttribute("aria-controls"));
      if (panel.id === "panel-map") panel.classList.toggle("chosen", selected);
      else panel.hidden = !selected;
    }
    if (focus) chosen.focus();
    shown(chosen.getAttribute("aria-controls"));
  }

  for (const tab of all) tab.addEventListener("click", () => choose(tab));
  list.addEventListener("keydown", (event) => {
    const tabs = usable();
    const now = tabs.indexOf(document.activeElement);
    const target = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (target === undefined || now < 0) return;
    event.preventDefault();
    choose(tabs[(target + tabs.length) % tabs.length], true);
  });
  const fit = () => choose(byId(NARROW.matches ? "tab-map" : "tab-tracks"));
  NARROW.addEventListener("change", fit);
  fit();
}
