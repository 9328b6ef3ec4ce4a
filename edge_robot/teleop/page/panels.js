// The tables of details. Only the one that is shown is filled, four times a second at most.

import { byId, fill, say } from "./dom.js";
import { every } from "./paint.js";
import { age as ageText, clock, milliseconds, number, percent, rate, words } from "./text.js";

const MOST_TRACKS = 40;
const MOST_LINES = 200;
const SOURCES = [[1, "camera"], [2, "lidar"], [4, "fleet"], [16, "radar"], [8, "peer"]];
const LEVELS = ["ok", "warning", "error", "silent"];
const LEVEL_KIND = ["good", "warn", "bad", "bad"];
const SEVERITY = { 10: "debug", 20: "info", 30: { text: "warning", kind: "warn" }, 40: { text: "error", kind: "bad" }, 50: { text: "fatal", kind: "bad" } };

const PANELS = {
  "panel-tracks": ({ tracks, pose }, view) => {
    const near = (tracks ?? []).map((track) => ({ ...track, range: pose ? Math.hypot(track.x - pose.x, track.y - pose.y) : NaN }))
      .sort((a, b) => a.range - b.range);
    say(byId("tracks-note"), tracks ? `${near.length} objects, nearest first, ${ageText(view.age("tracks"))} old` : "");
    fill(byId("tracks"), near.slice(0, MOST_TRACKS).map((track) => [
      track.id, track.class, number(track.range, 1, "m"), number(Math.hypot(track.vx, track.vy), 1, "m/s"),
      SOURCES.filter(([bit]) => track.sources & bit).map(([, name]) => name).join(", "),
    ]), "No object is followed.");
  },
  "panel-stages": ({ stages }) => {
    fill(byId("stages"), Object.entries(stages ?? {}).map(([name, { p95_ms: p95, budget_ms: budget, missed, runs }]) => {
      const kept = p95 === null ? "" : p95 <= budget;
      return [words(name), milliseconds(p95), milliseconds(budget), `${missed} of ${runs}`,
        { text: kept === "" ? "–" : kept ? "kept" : "over budget", kind: kept === "" ? "" : kept ? "good" : "bad" }];
    }), "No stage has reported yet.");
  },
  "panel-fleet": ({ link, privacy }) => {
    say(byId("fleet-note"), link ? `${link.offered} offered, ${link.answered} in time, ${link.late} late, ${link.failed} failed${link.placement ? ` · last work: ${link.placement}` : ""}` : "");
    fill(byId("endpoints"), (link?.endpoints ?? []).map((it) => [
      `${it.name} (${it.tier})`,
      { text: it.up ? (it.breaker === "closed" ? "up" : `up, breaker ${it.breaker}`) : it.cause, kind: it.up ? "good" : "warn" },
      `${milliseconds(it.rtt_ms)} / ${milliseconds(it.rtt_p95_ms)}`, percent(it.loss), rate(it.bandwidth),
    ]), "No backend is known.");
    fill(byId("privacy"), Object.values(privacy ?? {}).flat().map((it) => [
      `${words(it.kind)} → ${it.tier}`, it.level, it.cleared, it.withheld,
      Object.entries(it.reasons).map(([why, times]) => `${why} (${times})`).join(", "),
    ]), "Nothing has been offered.");
  },
  "panel-health": ({ diagnostics, battery, refused }) => {
    say(byId("battery-note"), battery ? `Battery ${percent(battery.charge)}, ${number(battery.voltage, 1, "V")}` : "No battery reports.");
    const parts = Object.entries(diagnostics ?? {}).map(([name, part]) => ({ name, ...part })).sort((a, b) => b.level - a.level || a.name.localeCompare(b.name));
    const rows = parts.map(({ name, level, text, values }) => [
      words(name), { text: LEVELS[level] ?? level, kind: LEVEL_KIND[level] ?? "" },
      [text, ...Object.entries(values).map(([key, value]) => `${words(key)} ${value}`)].filter(Boolean).join(" · "),
    ]);
    const unread = (refused ?? []).map(({ topic, reason, times }) => [topic, { text: "not shown", kind: "warn" }, `${reason} (${times})`]);
    fill(byId("diagnostics"), [...unread, ...rows], "No part has reported yet.");
  },
  "panel-log": ({ log }) => {
    fill(byId("log"), (log ?? []).slice(-MOST_LINES).reverse().map(({ time, level, node, text }) => [
      clock(time), SEVERITY[level] ?? level, node, text,
    ]), "Nothing has been logged.");
  },
};

export class Panels {
  #view;
  #shown = "";
  #changed = true;

  constructor(view) {
    this.#view = view;
    view.addEventListener("sections", () => { this.#changed = true; });
    every(250, () => this.#fill());
  }

  /** Tells which panel is shown now. */
  show(id) {
    this.#shown = id;
    this.#changed = true;
    this.#fill();
  }

  #fill() {
    // Without a connection nothing changes but what is told of its age.
    if ((!this.#changed && this.#view.open) || !(this.#shown in PANELS)) return;
    this.#changed = false;
    PANELS[this.#shown](this.#view.sections, this.#view);
  }
}
