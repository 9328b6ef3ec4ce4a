// The bar: which robot, its mode and why, link to the fleet, battery, round trip, connection.

import { announce, byId, indicate, say } from "./dom.js";
import { freshness } from "./freshness.js";
import { every } from "./paint.js";
import { age as ageText, milliseconds, percent } from "./text.js";

const MODE_KIND = {
  nominal: "good", teleoperation: "good", reduced: "warn", initializing: "warn",
  "last safe plan": "warn", "controlled stop": "warn", waiting: "warn", "emergency stop": "bad",
};
const SHOWN = ["robot", "mode", "link", "battery"];
const LOW_BATTERY = 0.2;
const SLOW = 250;   // ms of round trip from which driving is felt to lag

export class Bar {
  #view;
  #mode = "";
  #reason = "";
  #control = { open: false, text: "connecting" };

  constructor(view, control) {
    this.#view = view;
    view.addEventListener("sections", ({ detail: { names } }) => {
      if (names.some((name) => SHOWN.includes(name))) this.#show();
    });
    view.addEventListener("connection", ({ detail }) => this.#connection(detail));
    control.addEventListener("connection", ({ detail }) => {
      this.#control = detail;
      document.documentElement.dataset.control = detail.open ? "open" : "lost";
      if (detail.expired) location.replace("/?expired");
      this.#tick();
    });
    control.addEventListener("rtt", ({ detail: { ms } }) => {
      indicate(byId("rtt"), milliseconds(ms), ms > SLOW ? "warn" : "good");
    });
    every(250, () => this.#tick());
  }

  #connection({ open, reason }) {
    this.#reason = reason;
    if (open) announce("Connected to the robot");
    this.#tick();
  }

  #tick() {
    const { open, lostAt } = this.#view;
    const lost = byId("lost");
    const long = (performance.now() - lostAt) / 1000;
    // A moment without connection, as at the start, is not worth an alarm.
    lost.hidden = open || long < 1;
    if (!lost.hidden) {
      say(lost, `Connection lost${this.#reason && `, ${this.#reason}`}: what you see is old, and your input does not arrive. Connecting again…`);
    }
    const dead = open ? "" : `lost ${ageText(long)}`;
    if (!this.#control.open) indicate(byId("connection"), dead || "no control", "bad");
    else indicate(byId("connection"), dead || "live", open ? "good" : "bad");
    if (!this.#control.open) indicate(byId("rtt"), "–", "bad");
    this.#show();
    this.#title();
  }

  // Tells, from behind other tabs too, what cannot wait.
  #title() {
    const name = this.#view.sections.robot?.name ?? "edge_robot";
    const alarm = !this.#view.open ? "LOST" : document.documentElement.dataset.stopped === "true" ? "STOPPED" : "";
    const title = alarm ? `${alarm} · ${name}` : name;
    if (document.title !== title) document.title = title;
  }

  // What has not been heard for too long is told in the past tense, without its colour.
  #tell(section, text, kind) {
    const old = !this.#view.open || freshness(section, this.#view.age(section)) === "stale";
    indicate(byId(section), old ? `was ${text}` : text, old ? "" : kind);
  }

  #show() {
    const { robot, mode, link, battery } = this.#view.sections;
    if (robot?.name) {
      say(byId("robot-name"), robot.name);
    }
    if (mode) {
      this.#tell("mode", mode.name, MODE_KIND[mode.name] ?? "warn");
      say(byId("mode-cause"), mode.cause);
      byId("mode-cause").title = mode.cause;
      if (this.#mode !== mode.name) announce(`Mode: ${mode.name}${mode.cause ? `, ${mode.cause}` : ""}`);
      this.#mode = mode.name;
    }
    if (link) {
      this.#tell("link", link.up ? `up · ${milliseconds(link.rtt_ms)}` : `down: ${link.cause}`, link.up ? "good" : "warn");
    }
    if (battery) {
      const low = battery.charge !== null && battery.charge < LOW_BATTERY;
      this.#tell("battery", percent(battery.charge), low ? "bad" : "");
    }
  }
}
