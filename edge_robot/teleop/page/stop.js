// The emergency stop: pressing it, that it is latched, resetting it; and a press that did not arrive.

import { announce, byId, say } from "./dom.js";

export class Stop {
  #control;
  #stopped = null;
  #told = false;

  constructor(view, control, inputs) {
    this.#control = control;
    byId("stop").addEventListener("pointerdown", (event) => {
      // The press itself stops, not the finger's leaving.
      if (event.button === 0) this.press();
    });
    byId("stop").addEventListener("click", (event) => {
      if (event.detail === 0) this.press();   // by keyboard or by a screen reader
    });
    byId("reset").addEventListener("click", async () => this.#say(await control.reset()));
    inputs.addEventListener("press", ({ detail }) => detail.action === "stop" && this.press());
    control.addEventListener("status", ({ detail }) => {
      this.#told = true;
      this.#show(detail.stopped);
    });
    control.addEventListener("connection", () => { this.#told = false; });
    control.addEventListener("stop", ({ detail: { state, text } }) => {
      byId("stop").classList.toggle("sending", state === "sending");
      this.#say({ ok: state !== "undelivered", text: state === "sending" ? "" : text });
    });
    view.addEventListener("sections", ({ detail: { names } }) => {
      // The slower way: only where the controls do not tell.
      if (names.includes("stopped") && !this.#told) this.#show(view.sections.stopped);
    });
  }

  async press() {
    this.#say(await this.#control.stop());
  }

  #say({ ok, text }) {
    say(byId("stop-note"), ok && this.#stopped !== null ? "" : text);
  }

  #show(stopped) {
    if (typeof stopped !== "boolean" || stopped === this.#stopped) return;
    if (this.#stopped !== null || stopped) announce(stopped ? "Emergency stop latched" : "Emergency stop reset");
    this.#stopped = stopped;
    document.documentElement.dataset.stopped = String(stopped);
    byId("latched").hidden = byId("reset").hidden = !stopped;
    const [word, hint] = byId("stop").children;
    say(word, stopped ? "Stopped" : "Stop");
    say(hint, stopped ? "latched" : "Space");
    byId("stop").setAttribute("aria-label", stopped ? "Emergency stop: latched" : "Emergency stop");
  }
}
