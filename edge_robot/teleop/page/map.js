// The map: what the robot knows around it, in odom, each layer with its age.

import { Costmap } from "./costmap.js";
import { Curtain } from "./curtain.js";
import { byId, say } from "./dom.js";
import { Frame } from "./frame.js";
import { freshness, STALE } from "./freshness.js";
import { Drawing, every, sheet } from "./paint.js";
import { age as ageText } from "./text.js";
import { colour, onColours } from "./theme.js";

const LAYERS = ["pose", "lidar", "tracks", "path", "trajectory", "map", "goal"];
const FLEET = 4;         // bit of edge_robot/TrackedObject that says: seen by the fleet
const PATIENCE = 60;     // ms that a change is drawn later, with others; the operator's own moves are drawn at once
const FOOTPRINT = [[0.3, 0.2], [0.3, -0.2], [-0.3, -0.2], [-0.3, 0.2]];

export class MapView {
  frame = new Frame();
  follow = true;
  cursor = null;      // {x, y, yaw}, of the keyboard
  pending = null;     // {x, y, yaw}, a goal not yet sent
  #view;
  #canvas = byId("map");
  #costmap = null;
  #stale = null;
  #items = Object.fromEntries([...document.querySelectorAll("[data-layer]")].map((item) => [item.dataset.layer, item]));
  #curtain = new Curtain(byId("map-curtain"), STALE.pose);
  #drawing = new Drawing(() => this.#paint(), PATIENCE);

  constructor(view) {
    this.#view = view;
    view.addEventListener("picture", ({ detail }) => {
      if (detail.kind !== "map") return;
      this.#costmap = new Costmap(detail);
      this.repaint();
    });
    view.addEventListener("sections", ({ detail: { names } }) => {
      if (names.some((name) => LAYERS.includes(name))) this.#drawing.soon();
    });
    view.addEventListener("connection", () => this.#judge());
    onColours(() => {
      this.#costmap?.fade();
      this.repaint();
    });
    new ResizeObserver(() => this.repaint()).observe(this.#canvas);
    every(200, () => this.#judge());
  }

  repaint() {
    this.#drawing.now();
  }

  #age(layer) {
    if (layer !== "map") return this.#view.age(layer);
    return this.#costmap ? (performance.now() - this.#costmap.born) / 1000 : Infinity;
  }

  #present(layer) {
    if (layer === "map") return this.#costmap !== null;
    const value = this.#view.sections[layer];
    return Array.isArray(value) ? value.length > 0 : Boolean(value);
  }

  #live(layer) {
    return this.#present(layer) && freshness(layer, this.#age(layer)) !== "stale";
  }

  #judge() {
    const age = this.#age("pose");
    const state = freshness("pose", age);
    const label = byId("map-age");
    say(label, age === Infinity ? "no pose yet" : `pose ${ageText(age)} old`);
    label.dataset.age = state;
    const old = state === "stale" || state === "none";
    this.#curtain.lift(old ? 0 : age);
    const warning = byId("map-stale");
    warning.hidden = !old;
    if (old) {
      const [title, detail] = warning.children;
      say(title, state === "none" ? "No map" : this.#view.open ? "Map is old" : "Connection lost");
      say(detail, state === "none" ? "nothing has come yet" : `the robot was there ${ageText(age)} ago`);
    }
    this.#canvas.classList.toggle("old", old);
    let signature = String(old);
    for (const [layer, item] of Object.entries(this.#items)) {
      const seconds = this.#age(layer);
      const there = this.#present(layer);
      const fresh = there ? freshness(layer, seconds) : "none";
      item.classList.toggle("stale-layer", fresh === "stale");
      item.classList.toggle("absent", !there);
      const text = layer === "goal" ? "" : !there ? "none" : fresh === "stale" ? `old: ${ageText(seconds)}` : ageText(seconds);
      say(item.firstElementChild, text);
      signature += fresh;
    }
    if (signature !== this.#stale) {
      this.#stale = signature;
      this.repaint();
    }
  }

  #paint() {
    const { frame } = this;
    const { pen, width, height } = sheet(this.#canvas);
    if (!width || !height) return;
    Object.assign(frame, { width, height });
    const { sections } = this.#view;
    const { pose } = sections;
    if (this.follow && pose) [frame.x, frame.y] = [pose.x, pose.y];
    pen.fillStyle = colour("map-ground");
    pen.fillRect(0, 0, width, height);
    this.#paintCostmap(pen);
    this.#paintScale(pen);
    if (this.#live("path")) this.#line(pen, sections.path, "map-path", 3);
    if (this.#live("trajectory")) this.#line(pen, sections.trajectory, "map-trajectory", 5);
    if (pose && this.#live("lidar")) this.#paintLidar(pen, sections.lidar, pose);
    if (this.#live("tracks")) for (const track of sections.tracks) this.#paintTrack(pen, track);
    if (sections.goal && sections.goal.frame === pose?.frame) this.#paintGoal(pen, sections.goal, false);
    if (pose) this.#paintRobot(pen, pose, sections.robot?.footprint ?? FOOTPRINT);
    if (this.pending) this.#paintGoal(pen, this.pending, true);
    else if (this.cursor && document.activeElement === this.#canvas) this.#paintCursor(pen);
  }

  #paintCostmap(pen) {
    if (!this.#costmap) return;
    const { x, y, width, height, resolution } = this.#costmap.header;
    const [left, top] = this.frame.at(x, y + height * resolution);
    const scale = resolution * this.frame.scale;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.#costmap.image(), left, top, width * scale, height * scale);
  }

  #paintScale(pen) {
    const { frame } = this;
    const step = frame.scale > 60 ? 1 : frame.scale > 18 ? 2 : 5;
    pen.strokeStyle = colour("map-grid");
    pen.lineWidth = 1;
    pen.beginPath();
    const [west, north] = frame.world(0, 0);
    const [east, south] = frame.world(frame.width, frame.height);
    for (let x = Math.ceil(west / step) * step; x < east; x += step) {
      const [px] = frame.at(x, 0);
      pen.moveTo(Math.round(px) + 0.5, 0);
      pen.lineTo(Math.round(px) + 0.5, frame.height);
    }
    for (let y = Math.ceil(south / step) * step; y < north; y += step) {
      const [, py] = frame.at(0, y);
      pen.moveTo(0, Math.round(py) + 0.5);
      pen.lineTo(frame.width, Math.round(py) + 0.5);
    }
    pen.stroke();
    pen.strokeStyle = colour("map-text");
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 2;
    const y = frame.height - 10;
    pen.beginPath();
    pen.moveTo(12, y - 5);
    pen.lineTo(12, y);
    pen.lineTo(12 + step * frame.scale, y);
    pen.lineTo(12 + step * frame.scale, y - 5);
    pen.stroke();
    this.#label(pen, `${step} m`, 16, y - 5, colour("map-text"));
  }

  #line(pen, points, name, width) {
    pen.strokeStyle = colour(name);
    pen.lineWidth = width;
    pen.lineJoin = pen.lineCap = "round";
    pen.beginPath();
    points.forEach(([x, y], index) => (index ? pen.lineTo(...this.frame.at(x, y)) : pen.moveTo(...this.frame.at(x, y))));
    pen.stroke();
  }

  #paintLidar(pen, points, { x, y, yaw }) {
    const [cos, sin] = [Math.cos(yaw), Math.sin(yaw)];
    pen.fillStyle = colour("map-lidar");
    const size = Math.max(2, Math.min(4, this.frame.scale * 0.06));
    for (const [px, py] of points) {
      const [left, top] = this.frame.at(x + cos * px - sin * py, y + sin * px + cos * py);
      pen.fillRect(left - size / 2, top - size / 2, size, size);
    }
  }

  #paintTrack(pen, track) {
    const { scale } = this.frame;
    const [px, py] = this.frame.at(track.x, track.y);
    // Seen by the fleet alone is dashed, as its boxes in the picture are; by both has its rhomb beside the name.
    const fleet = Boolean(track.sources & FLEET);
    const alone = track.sources === FLEET;
    const ink = colour(alone ? "map-fleet" : "map-track");
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    pen.save();
    pen.translate(px, py);
    pen.rotate(-track.yaw);
    pen.setLineDash(alone ? [6, 4] : []);
    const [length, breadth] = [Math.max(4, track.length * scale), Math.max(4, track.width * scale)];
    pen.strokeRect(-length / 2, -breadth / 2, length, breadth);
    pen.restore();
    if (track.cov) this.#paintEllipse(pen, px, py, track.cov);
    const speed = Math.hypot(track.vx, track.vy);
    if (speed > 0.1) this.#arrow(pen, px, py, track.vx * scale, -track.vy * scale);
    pen.font = "600 12px system-ui, sans-serif";
    const text = `${fleet ? "◆ " : ""}${track.class} ${track.id}${speed > 0.1 ? ` · ${speed.toFixed(1)} m/s` : ""}`;
    this.#label(pen, text, px + Math.max(8, breadth / 2 + 4), py - 6, ink);
  }

  // Twice the standard deviation of the position: with 86 % it is inside.
  #paintEllipse(pen, px, py, [xx, xy, yy]) {
    const middle = (xx + yy) / 2;
    const spread = Math.hypot((xx - yy) / 2, xy);
    const [major, minor] = [middle + spread, middle - spread].map((v) => 2 * Math.sqrt(Math.max(0, v)) * this.frame.scale);
    pen.lineWidth = 1;
    pen.beginPath();
    pen.ellipse(px, py, major, minor, -0.5 * Math.atan2(2 * xy, xx - yy), 0, 2 * Math.PI);
    pen.stroke();
  }

  #arrow(pen, px, py, dx, dy) {
    const angle = Math.atan2(dy, dx);
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(px, py);
    pen.lineTo(px + dx, py + dy);
    for (const side of [-2.6, 2.6]) {
      pen.moveTo(px + dx, py + dy);
      pen.lineTo(px + dx + 8 * Math.cos(angle + side), py + dy + 8 * Math.sin(angle + side));
    }
    pen.stroke();
  }

  #label(pen, text, x, y, ink) {
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = colour("map-free");
    pen.strokeText(text, x, y);
    pen.fillStyle = ink;
    pen.fillText(text, x, y);
  }

  #paintGoal(pen, { x, y, yaw }, pending) {
    const [px, py] = this.frame.at(x, y);
    pen.strokeStyle = pen.fillStyle = colour("map-goal");
    pen.lineWidth = 3;
    pen.setLineDash(pending ? [5, 4] : []);
    pen.beginPath();
    pen.arc(px, py, 10, 0, 2 * Math.PI);
    pen.stroke();
    pen.setLineDash([]);
    pen.beginPath();
    pen.arc(px, py, 3, 0, 2 * Math.PI);
    pen.fill();
    if (typeof yaw === "number") this.#arrow(pen, px, py, 30 * Math.cos(yaw), -30 * Math.sin(yaw));
  }

  #paintCursor(pen) {
    const { x, y, yaw } = this.cursor;
    const [px, py] = this.frame.at(x, y);
    pen.strokeStyle = colour("map-text");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(px - 12, py);
    pen.lineTo(px + 12, py);
    pen.moveTo(px, py - 12);
    pen.lineTo(px, py + 12);
    pen.stroke();
    this.#arrow(pen, px, py, 26 * Math.cos(yaw), -26 * Math.sin(yaw));
  }

  #paintRobot(pen, { x, y, yaw }, footprint) {
    const { scale } = this.frame;
    pen.save();
    pen.translate(...this.frame.at(x, y));
    pen.rotate(-yaw);
    pen.strokeStyle = pen.fillStyle = colour("map-robot");
    pen.lineWidth = 2.5;
    pen.beginPath();
    footprint.forEach(([fx, fy], index) => (index ? pen.lineTo(fx * scale, -fy * scale) : pen.moveTo(fx * scale, -fy * scale)));
    pen.closePath();
    pen.stroke();
    // Never too small to be seen, however far the map is zoomed out.
    const size = Math.max(7, 0.22 * scale);
    pen.beginPath();
    pen.moveTo(size, 0);
    pen.lineTo(-size * 0.7, size * 0.6);
    pen.lineTo(-size * 0.7, -size * 0.6);
    pen.fill();
    pen.restore();
  }
}
