// All robots in one list: this one and its neighbours; each name leads to that robot's own page.

import { byId, fill } from "./dom.js";
import { every } from "./paint.js";
import { age as ageText, percent } from "./text.js";

// Another robot says where its page is: nothing but a web address becomes a link.
function address(text) {
  try {
    const url = new URL(text);
    url.hash = "neighbour";
    return ["http:", "https:"].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function state({ up, stopped, mode, cause, silent }) {
  if (!up) return { text: `${cause}${silent === undefined ? "" : `, silent for ${ageText(silent)}`}`, kind: "warn" };
  if (stopped) return { text: "emergency stop", kind: "bad" };
  return { text: [mode ?? "mode unknown", cause].filter(Boolean).join(": "), kind: mode === "nominal" || mode === "teleoperation" ? "good" : "warn" };
}

export function startRobots(view) {
  every(500, () => {
    if (byId("panel-robots").hidden) return;
    const { robot, mode, stopped, holder, battery, neighbours } = view.sections;
    const here = [{ text: `${robot?.name ?? "this robot"} (this page)` }, state({ up: view.open, stopped, mode: mode?.name, cause: view.open ? mode?.cause : "connection lost" }),
      holder || "–", percent(battery?.charge)];
    fill(byId("robots"), [here, ...(neighbours ?? []).map((it) => [
      { text: it.name, href: address(it.url) }, state(it), it.holder || "–", percent(it.battery),
    ])], "No robot is known.");
  });
}
