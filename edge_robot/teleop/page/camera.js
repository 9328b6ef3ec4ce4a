// The camera's picture with what the robot recognises in it, and where the command takes the robot.

import { Curtain } from "./curtain.js";
import { byId, say, announce } from "./dom.js";
import { freshness, STALE } from "./freshness.js";
import { arc, seen } from "./optics.js";
import { Drawing, every, sheet } from "./paint.js";
import { age as ageText, percent } from "./text.js";
import { colour } from "./theme.js";

const AHEAD = 2.5;  // s that the drive overlay looks ahead, at least
const REACH = 3;    // m that it reaches, at least: a slow robot's next seconds lie below the picture
const LEAST = 0.02;  // m/s from which it is drawn
const PATIENCE = 150; // ms that new boxes wait for the next picture, which is drawn with them

export class Camera {
  #view;
  #canvas = byId("camera");
  #picture = null;
  #arrivals = [];
  #shown = "";
  #curtain = new Curtain(byId("camera-curtain"), STALE.camera);
  #drawing = new Drawing(() => this.#paint(), PATIENCE);

  constructor(view) {
    this.#view = view;
    view.addEventListener("picture", ({ detail }) => detail.kind === "camera" && this.#take(detail));
    view.addEventListener("sections", ({ detail: { names } }) => {
      if (names.some((name) => ["onboard", "fleet", "command"].includes(name))) this.#drawing.soon();
    });
    view.addEventListener("sections", ({ detail: { names } }) => names.includes("robot") && this.#offer(view.sections.robot.cameras));
    byId("camera-choice").addEventListener("change", ({ target }) => view.look(target.value));
    view.addEventListener("connection", () => this.#judge());
    new ResizeObserver(() => this.#drawing.now()).observe(this.#canvas);
    every(100, () => this.#judge());
  }

  #offer(cameras) {
    const choice = byId("camera-choice");
    choice.hidden = cameras.length < 2;
    if ([...choice.options].map(({ value }) => value).join() !== cameras.join()) {
      choice.replaceChildren(...cameras.map((name) => new Option(name, name)));
    }
  }

  #take(picture) {
    this.#picture?.image.close();
    this.#picture = picture;
    this.#arrivals = [...this.#arrivals.slice(-19), performance.now()];
    this.#judge();
    this.#drawing.now();
  }

  #age() {
    return this.#picture ? (performance.now() - this.#picture.born) / 1000 : Infinity;
  }

  // Runs by a timer and not by pictures: staleness is that none comes.
  #judge() {
    const age = this.#age();
    const state = freshness("camera", age);
    const label = byId("camera-age");
    say(label, age === Infinity ? "no picture yet" : `${ageText(age)} old`);
    label.dataset.age = state;
    const old = state === "stale" || state === "none";
    this.#curtain.lift(old ? 0 : age);
    const warning = byId("camera-stale");
    warning.hidden = !old;
    if (old) {
      const [title, detail] = warning.children;
      say(title, state === "none" ? "No picture" : this.#view.open ? "Picture is old" : "Connection lost");
      say(detail, state === "none" ? "nothing has come yet" : `this was ${ageText(age)} ago; it is not what is there now`);
    }
    document.documentElement.dataset.view = !this.#view.open ? "lost" : old ? "stale" : "live";
    this.#canvas.classList.toggle("old", old);
    say(byId("camera-note"), this.#note());
    if (state !== this.#shown) {
      if (old && this.#shown) announce("The camera's picture is old");
      else if (this.#shown === "stale") announce("The camera's picture is live again");
      this.#shown = state;
      this.#drawing.now();
    }
  }

  #note() {
    if (!this.#picture) return "";
    const { image: { width, height }, header: { level } } = this.#picture;
    const span = this.#arrivals.length > 1 ? (this.#arrivals.at(-1) - this.#arrivals[0]) / 1000 : 0;
    const pace = span ? ` · ${((this.#arrivals.length - 1) / span).toFixed(1)}/s` : "";
    return `${width}×${height} · level ${level}${pace}`;
  }

  #paint() {
    const { pen, width, height } = sheet(this.#canvas);
    pen.fillStyle = colour("screen");
    pen.fillRect(0, 0, width, height);
    if (!this.#picture) return;
    const { image, header } = this.#picture;
    const scale = Math.min(width / header.width, height / header.height);
    const left = (width - header.width * scale) / 2;
    const top = (height - header.height * scale) / 2;
    pen.drawImage(image, left, top, header.width * scale, header.height * scale);
    if (freshness("camera", this.#age()) === "stale") return;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, header.width * scale, header.height * scale);
    pen.clip();
    pen.translate(left, top);
    this.#path(pen, header, scale);
    for (const tier of ["fleet", "onboard"]) this.#boxes(pen, tier, scale, header);
    pen.restore();
  }

  #boxes(pen, tier, scale, { width }) {
    const boxes = this.#view.sections[tier];
    if (!boxes || this.#view.age(tier) > STALE[tier]) return;
    const fleet = tier === "fleet";
    pen.font = "600 12px system-ui, sans-serif";
    for (const box of boxes) {
      const [w, h] = [box.w * scale, box.h * scale];
      const [x, y] = [(box.x - box.w / 2) * scale, (box.y - box.h / 2) * scale];
      // A dark line under the coloured one: seen on any ground.
      pen.lineWidth = 4.5;
      pen.strokeStyle = "rgb(0 0 0 / .75)";
      pen.setLineDash([]);
      pen.strokeRect(x, y, w, h);
      pen.lineWidth = 2.5;
      pen.strokeStyle = colour(tier);
      pen.setLineDash(fleet ? [8, 5] : []);
      pen.strokeRect(x, y, w, h);
      pen.setLineDash([]);
      // Onboard labels stand above their box with a square, fleet labels below with a rhomb.
      const text = `${fleet ? "◆" : "■"} ${box.class} ${percent(box.score)}${fleet && box.tier !== "fleet" ? ` · ${box.tier}` : ""}`;
      const room = pen.measureText(text).width + 8;
      const labelX = Math.max(0, Math.min(x, width * scale - room));
      const labelY = fleet ? y + h + 2 : Math.max(0, y - 19);
      pen.fillStyle = "rgb(0 0 0 / .8)";
      pen.fillRect(labelX, labelY, room, 17);
      pen.fillStyle = colour(tier);
      pen.fillText(text, labelX + 4, labelY + 13);
    }
  }

  // Where the robot's sides go with the present command, on flat ground.
  #path(pen, { camera, width }, scale) {
    const { command, robot, [`optics ${camera}`]: optics } = this.#view.sections;
    if (!optics || !robot || !command || this.#view.age("command") > STALE.command) return;
    const speed = Math.hypot(command.vx, command.vy);
    if (speed < LEAST) return;
    const ahead = Math.min(Math.max(AHEAD, REACH / speed), Math.PI / 2 / Math.abs(command.wz));
    const px = (scale * width) / optics.width;
    const half = Math.max(...robot.footprint.map(([, y]) => Math.abs(y)));
    pen.lineJoin = "round";
    for (const [ink, breadth] of [["rgb(0 0 0 / .6)", 6], ["rgb(130 255 180)", 3]]) {
      pen.strokeStyle = ink;
      pen.lineWidth = breadth;
      for (const side of [-half, half]) {
        pen.beginPath();
        let begun = false;
        for (const point of seen(optics.project, arc(command, [0, side], ahead))) {
          if (point && begun) pen.lineTo(point[0] * px, point[1] * px);
          else if (point) pen.moveTo(point[0] * px, point[1] * px);
          begun = Boolean(point);
        }
        pen.stroke();
      }
    }
  }
}
