// The figures on the camera's picture: speed, turn, what is commanded, and whether the operator is driving.

import { byId, say } from "./dom.js";
import { freshness } from "./freshness.js";
import { every } from "./paint.js";
import { number } from "./text.js";

const FULL = 1.0;        // m/s and rad/s of a full bar before the robot has told its limits

export class Hud {
  #limits = {};
  #view;
  #device = null;

  constructor(view, control, inputs) {
    this.#view = view;
    view.addEventListener("sections", () => this.#show());
    every(250, () => this.#show());
    control.addEventListener("status", ({ detail }) => {
      this.#limits = detail.limits;
      this.#drive(detail);
    });
    control.addEventListener("connection", ({ detail }) => detail.open || this.#say("no control", false));
    inputs.addEventListener("device", ({ detail }) => { this.#device = detail; });
  }

  #drive({ driving, stopped, lease, autonomy_waits: waits }) {
    if (stopped) this.#say("stopped", false);
    else if (lease.yours) this.#say(driving ? `driving by ${this.#device?.name ?? "hand"}` : "hold to drive", driving);
    else if (driving) this.#say(`driven by ${lease.holder}`, false);
    else this.#say(lease.holder || waits ? "not driving" : "autonomy", false);
  }

  #say(text, driving) {
    say(byId("hud-drive"), text);
    byId("hud-drive").dataset.driving = String(driving);
  }

  #show() {
    const { pose, command } = this.#view.sections;
    const known = pose && this.#view.open && freshness("pose", this.#view.age("pose")) !== "stale";
    say(byId("hud-speed"), known ? Math.abs(pose.v).toFixed(2) : "–");
    const heard = command && this.#view.open && freshness("command", this.#view.age("command")) !== "stale";
    const [vx, wz] = heard ? [command.vx, command.wz] : [0, 0];
    const share = (value, full) => String(Math.max(-1, Math.min(1, value / full)));
    byId("hud-vx").style.setProperty("--value", share(vx, this.#limits.speed || FULL));
    byId("hud-wz").style.setProperty("--value", share(-wz, this.#limits.yaw_rate || FULL));
    say(byId("hud-limit"), heard ? `to ${number(vx, 2, "m/s")}` : "–");
    say(byId("hud-turn"), heard ? `to ${number(wz, 2, "rad/s")}` : "–");
  }
}
