// From pointer and keyboard on the map to a goal: move and zoom the map, put a goal, send or discard it, cancel it.

import { byId, say } from "./dom.js";

const SLIP = 6;            // px a press may move and still be a click
const STEP = 0.25;         // m the cursor moves
const TURN = Math.PI / 12;

const degrees = (yaw) => Math.round((Math.atan2(Math.sin(yaw), Math.cos(yaw)) * 180) / Math.PI);

export class GoalTool {
  #map;
  #view;
  #control;
  #canvas = byId("map");
  #aiming = false;
  #pointers = new Map();   // pointers that are down: id → {x, y}
  #press = null;                  // {px, py, x, y, moved}
  #pinch = 0;

  #answer;

  /** `answer(reply)` shows what the robot said to a request. */
  constructor(map, view, control, answer) {
    this.#map = map;
    this.#view = view;
    this.#control = control;
    this.#answer = answer;
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#forget(event));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => map.repaint());
    canvas.addEventListener("blur", () => map.repaint());
    byId("zoom-in").addEventListener("click", () => this.#zoom(1.4));
    byId("zoom-out").addEventListener("click", () => this.#zoom(1 / 1.4));
    byId("follow").addEventListener("click", () => this.#follow(!map.follow));
    byId("goal-mode").addEventListener("click", () => this.aim(!this.#aiming));
    byId("goal-send").addEventListener("click", () => this.#send());
    byId("goal-discard").addEventListener("click", () => this.#put(null));
    byId("goal-cancel").addEventListener("click", async () => this.#answer(await this.#control.cancelGoal()));
    view.addEventListener("sections", ({ detail: { names } }) => {
      if (names.includes("goal")) byId("goal-cancel").hidden = !view.sections.goal;
    });
  }

  /** With it on, a drag on the map gives a goal its heading; without, it moves the map. */
  aim(on) {
    this.#aiming = on;
    byId("goal-mode").setAttribute("aria-pressed", String(on));
    this.#canvas.classList.toggle("aiming", on);
    if (on) this.#canvas.focus();
  }

  #follow(on) {
    this.#map.follow = on;
    byId("follow").setAttribute("aria-pressed", String(on));
    this.#map.repaint();
  }

  #zoom(factor, px, py) {
    this.#map.frame.zoom(factor, px, py);
    this.#map.repaint();
  }

  #wheel(event) {
    event.preventDefault();
    if (this.#map.follow) this.#zoom(Math.exp(-event.deltaY * 0.0015));
    else this.#zoom(Math.exp(-event.deltaY * 0.0015), event.offsetX, event.offsetY);
  }

  #down(event) {
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.#pointers.size === 1) {
      const [x, y] = this.#map.frame.world(event.offsetX, event.offsetY);
      this.#press = { px: event.offsetX, py: event.offsetY, x, y, moved: false };
    } else {
      this.#press = null;
      this.#pinch = this.#spread();
    }
  }

  #spread() {
    const [a, b] = [...this.#pointers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.offsetX, y: event.offsetY };
    this.#pointers.set(event.pointerId, now);
    if (this.#pointers.size === 2) {
      const spread = this.#spread();
      if (this.#pinch) this.#zoom(spread / this.#pinch);
      this.#pinch = spread;
    } else if (this.#press) {
      const press = this.#press;
      press.moved ||= Math.hypot(now.x - press.px, now.y - press.py) > SLIP;
      if (!press.moved) return;
      if (this.#aiming) {
        this.#put({ x: press.x, y: press.y, yaw: Math.atan2(press.py - now.y, now.x - press.px) });
      } else {
        if (this.#map.follow) this.#follow(false);
        this.#map.frame.pan(now.x - before.x, now.y - before.y);
        this.#map.repaint();
      }
    }
  }

  #up(event) {
    const press = this.#press;
    this.#forget(event);
    if (!press || press.moved) return;
    this.#put({ x: press.x, y: press.y, yaw: this.#towards(press.x, press.y) });
  }

  #forget(event) {
    this.#pointers.delete(event.pointerId);
    this.#press = null;
    this.#pinch = 0;
  }

  // Without a heading of its own, a goal is reached as one comes to it.
  #towards(x, y) {
    const { pose } = this.#view.sections;
    return pose ? Math.atan2(y - pose.y, x - pose.x) : 0;
  }

  #put(goal) {
    const { pose } = this.#view.sections;
    if (goal && !pose) {
      this.#answer({ ok: false, text: "Nobody knows yet where the robot is: no goal can be put on the map" });
      return;
    }
    this.#map.pending = goal;
    byId("goal-confirm").hidden = !goal;
    if (goal) {
      const range = Math.hypot(goal.x - pose.x, goal.y - pose.y).toFixed(1);
      say(byId("goal-text"), `Goal: ${range} m away, heading ${degrees(goal.yaw)}°`);
    }
    this.#map.repaint();
  }

  async #send() {
    const goal = this.#map.pending;
    if (!goal) return;
    this.#put(null);
    this.aim(false);
    const reply = await this.#control.goal(goal.x, goal.y, goal.yaw);
    this.#answer(reply);
    if (!reply.ok && !this.#map.pending) this.#put(goal);
  }

  #key(event) {
    const { pose } = this.#view.sections;
    const map = this.#map;
    map.cursor ??= { x: pose?.x ?? 0, y: pose?.y ?? 0, yaw: pose?.yaw ?? 0 };
    const step = event.shiftKey ? 1 : STEP;
    const moves = { ArrowUp: [0, step], ArrowDown: [0, -step], ArrowLeft: [-step, 0], ArrowRight: [step, 0] };
    if (event.key in moves) {
      map.cursor.x += moves[event.key][0];
      map.cursor.y += moves[event.key][1];
    } else if (event.key === "[" || event.key === "]") {
      map.cursor.yaw += event.key === "[" ? TURN : -TURN;
    } else if (event.key === "Enter") {
      if (map.pending) this.#send();
      else this.#put({ ...map.cursor });
      event.preventDefault();
      return;
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#put(null);
    } else if (event.key === "+" || event.key === "-") {
      this.#zoom(event.key === "+" ? 1.4 : 1 / 1.4);
    } else if (event.key === "f" || event.key === "F") {
      this.#follow(!map.follow);
    } else {
      return;
    }
    event.preventDefault();
    if (map.pending && (event.key in moves || event.key === "[" || event.key === "]")) this.#put({ ...map.cursor });
    map.repaint();
  }
}
