// Who drives: taking, asking for and handing back the wheel, the speed limit, and why something is refused.

import { announce, byId, indicate, say } from "./dom.js";
import { number } from "./text.js";

const MAY_DRIVE = ["drive", "admin"];
const ANSWER_STAYS = 8000;   // ms

export class Wheel {
  status = null;
  #control;
  #inputs;
  #answer = null;
  #answered = null;
  #sending = null;

  constructor(view, control, inputs) {
    this.#control = control;
    this.#inputs = inputs;
    view.addEventListener("sections", ({ detail: { names } }) => {
      if (names.includes("robot")) inputs.holonomic = view.sections.robot.holonomic;
    });
    control.addEventListener("status", ({ detail }) => this.#show(detail));
    control.addEventListener("connection", ({ detail }) => {
      this.status = null;   // what was told over another connection does not hold for this one
      if (!detail.open) inputs.enabled = false;
      document.documentElement.dataset.wheel = "unknown";
      this.#describe();
    });
    inputs.addEventListener("gamepad", ({ detail: { name } }) => {
      byId("gamepad").hidden = !name;
      if (name) say(byId("gamepad"), `Gamepad: ${name}. Hold a shoulder button and use the left stick; B stops.`);
    });
    byId("take").addEventListener("click", () => this.take());
    byId("ask").addEventListener("click", async () => this.answer(await control.ask()));
    byId("hand-back").addEventListener("click", () => this.handBack());
    byId("force").addEventListener("click", () => this.#force());
    byId("speed-limit").addEventListener("input", () => this.#limit());
  }

  /** Shows what the robot answered to a request, for a while. */
  answer(reply) {
    this.#answer = reply;
    clearTimeout(this.#answered);
    this.#answered = setTimeout(() => {
      this.#answer = null;
      this.#describe();
    }, ANSWER_STAYS);
    this.#describe();
  }

  /** Takes the wheel if it is free, asks for it if somebody has it. */
  async take() {
    const { lease } = this.status ?? {};
    if (lease?.holder && !lease.yours) this.answer(await this.#control.ask());
    else await this.#take(false);
  }

  async #take(force) {
    const reply = await this.#control.take(force);
    this.answer(reply);
    if (!reply.ok) return;
    byId("camera-screen").focus();
    this.#limit();
  }

  async handBack() {
    this.answer(await this.#control.handBack());
  }

  /** Moves the speed limit by so many steps of its slider. */
  nudge(steps) {
    const slider = byId("speed-limit");
    if (steps > 0) slider.stepUp();
    else slider.stepDown();
    this.#limit();
  }

  #force() {
    const dialog = byId("force-dialog");
    const { holder } = this.status.lease;
    say(byId("force-text"), `${holder} has it now and may be driving. The robot stops for a moment, and ${holder} is told that you took it. It stands in the audit log.`);
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => dialog.returnValue === "yes" && this.#take(true), { once: true });
    dialog.show();
  }

  #limit() {
    const speed = Number(byId("speed-limit").value);
    say(byId("speed-limit-value"), number(speed, 2, "m/s"));
    this.#apply();
    // While the slider moves, only where it comes to rest is asked for.
    clearTimeout(this.#sending);
    this.#sending = setTimeout(async () => {
      const reply = await this.#control.limit(speed);
      if (!reply.ok) this.answer(reply);
    }, 150);
  }

  #apply() {
    const limits = this.status?.limits;
    if (!limits) return;
    byId("speed-limit").max = limits.most;
    this.#inputs.speed = Math.min(Number(byId("speed-limit").value), limits.speed);
    this.#inputs.yawRate = limits.yaw_rate;
  }

  #show(status) {
    const before = this.status;
    this.status = status;
    const { lease, stopped } = status;
    document.documentElement.dataset.wheel = lease.yours ? "yours" : lease.holder ? "theirs" : "free";
    this.#inputs.enabled = lease.yours && !stopped;
    this.#apply();
    if (before && before.lease.generation !== lease.generation) {
      // What was answered was about another holder; the answer to this very change comes after it.
      this.#answer = null;
      announce(lease.yours ? "You have the wheel" : lease.holder ? `${lease.holder} has the wheel` : "Nobody has the wheel");
    }
    if (lease.yours && lease.asked_by && lease.asked_by !== before?.lease.asked_by) announce(`${lease.asked_by} asks for the wheel`);
    byId("tab-audit").hidden = status.role !== "admin";
    this.#describe();
  }

  #describe() {
    const { role, lease, stopped, autonomy_waits: waits, refused, limits } = this.status ?? { lease: {} };
    const driver = MAY_DRIVE.includes(role);
    const connected = this.status !== null;
    const yours = connected && lease.yours;
    const theirs = Boolean(lease.holder && !lease.yours);
    const usable = connected && driver;
    byId("take").hidden = yours || theirs;
    byId("take").disabled = !usable;
    byId("ask").hidden = !theirs;
    byId("ask").disabled = !usable;
    byId("force").hidden = !(theirs && role === "admin");
    byId("force").disabled = !usable;
    byId("hand-back").hidden = !yours && (theirs || !waits);
    byId("hand-back").disabled = !usable;
    byId("speed-limit").disabled = !usable;
    for (const id of ["goal-mode", "goal-send", "goal-cancel"]) byId(id).disabled = !usable;

    let text = "The wheel is free; autonomy may drive";
    if (!connected) text = "No connection to the controls";
    else if (yours) text = stopped ? "You have the wheel; the stop is latched" : "You have the wheel: hold a key or the stick to drive";
    else if (theirs) text = `${lease.holder} has the wheel`;
    else if (waits) text = "Autonomy waits: hand back, or send a new goal";
    say(byId("wheel-text"), text);
    indicate(byId("holder"), !connected ? "unknown" : yours ? "you" : theirs ? lease.holder : waits ? "nobody, autonomy waits" : "autonomy", yours ? "good" : theirs ? "warn" : "");

    const asking = yours && lease.asked_by ? `${lease.asked_by} asks for the wheel` : "";
    // The gravest first: a request refused, a rival, what keeps the robot from obeying; then that a request was granted.
    const { ok, text: told } = this.#answer ?? {};
    const idle = driver ? "" : `Your role is “${role}”: you may look and stop, not drive`;
    const reason = (!ok && told) || asking || refused || told || idle;
    say(byId("refused"), connected ? reason : "");
    byId("refused").classList.toggle("granted", Boolean(ok && reason === told));
    say(byId("limit-note"), limits && limits.speed < Number(byId("speed-limit").value) - 0.005 ? `now at most ${number(limits.speed, 2, "m/s")}: what the round trip allows` : "");
  }
}
