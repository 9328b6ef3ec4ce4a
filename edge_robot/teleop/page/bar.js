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
const MOMENT = 1000; // ms without connection, as at the start, that are not worth an alarm
const SLOW = 250;   // ms of round trip from which driving is felt to lag

export class Bar {
  #view;
  #mode = "";
  #reason = "";
  #controlLostAt = performance.now();
  #control = { open: false, text: "connecting" };

  constructor(view, control) {
    this.#view = view;
    view.addEventListener("sections", ({ detail: { names } }) => {
      if (names.some((name) => SHOWN.includes(name))) this.#show();
    });
    view.addEventListener("connection", ({ detail }) => this.#connection(detail));
    control.addEventListener("connection", ({ detail }) => {
      if (this.#control.open && !detail.open) this.#controlLostAt = performance.now();
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
    const alarm = this.#alarm();
    byId("lost").hidden = !alarm;
    if (alarm) say(byId("lost"), alarm);
    const { open, lostAt } = this.#view;
    const controlled = this.#control.open;
    const text = !open ? `lost ${ageText((performance.now() - lostAt) / 1000)}` : controlled ? "live" : "no control";
    indicate(byId("connection"), text, open && controlled ? "good" : "bad");
    if (!controlled) indicate(byId("rtt"), "–", "bad");
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

  #alarm() {
    const lost = (connection, at) => !connection.open && performance.now() - at > MOMENT;
    if (lost(this.#view, this.#view.lostAt)) {
      return `Connection lost${this.#reason && `, ${this.#reason}`}: what you see is old, and your input does not arrive. Connecting again…`;
    }
    if (lost(this.#control, this.#controlLostAt)) {
      return "You see the robot, but the controls are not connected: your input does not arrive. Connecting again…";
    }
    return "";
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
