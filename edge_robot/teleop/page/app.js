// The dashboard's page: one WebSocket in, two canvases and the tables out.
"use strict";

const STALE_AFTER = 0.6; // s; six camera periods
const byId = (id) => document.getElementById(id);
const css = getComputedStyle(document.documentElement);
const colour = (name) => css.getPropertyValue(`--${name}`).trim();

let socket = null;
let state = null;
let costmap = null;   // {image, header}
let picture = null;   // {image, header, arrived}

function connect() {
  socket = new WebSocket(`ws://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => chip("connection", "connected", "good");
  socket.onclose = () => {
    chip("connection", "connection lost – reconnecting", "bad");
    setTimeout(connect, 1000);
  };
  socket.onmessage = ({ data }) => (typeof data === "string" ? onText(JSON.parse(data)) : onBinary(data));
}

function onText(message) {
  if (message.type === "answer") {
    byId("answer").textContent = message.text;
    byId("answer").hidden = false;
    return;
  }
  state = message;
  drawState();
  drawFleet();
}

async function onBinary(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const image = await createImageBitmap(new Blob([new Uint8Array(buffer, 4 + length)]));
  if (header.kind === "map") {
    costmap = { image, header };
  } else {
    picture = { image, header, arrived: performance.now() };
    if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"seen"}');
  }
}

function command(type) {
  if (socket.readyState !== WebSocket.OPEN) {
    onText({ type: "answer", text: "Not connected: use the stop on the robot itself." });
    return;
  }
  socket.send(JSON.stringify({ type }));
}

function chip(id, text, kind = "") {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = element.title = text;
  element.className = `chip ${kind}`;
}

const milliseconds = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(1)} ms`);

function rows(id, lines) {
  byId(id).replaceChildren(...lines.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((cell) => {
      const element = document.createElement("td");
      element.textContent = cell;
      return element;
    }));
    return row;
  }));
}

function facts(pairs) {
  byId("facts").replaceChildren(...pairs.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value;
    return [term, detail];
  }));
}

const SOURCES = [[1, "camera"], [2, "lidar"], [4, "fleet"], [8, "peer"]];

function drawState() {
  const { mode, link, stopped, robot } = state;
  if (mode) {
    const kind = mode.name === "nominal" ? "good" : mode.name === "emergency stop" ? "bad" : "warn";
    chip("mode", mode.cause ? `${mode.name}: ${mode.cause}` : mode.name, kind);
  }
  if (link) chip("link", link.up ? `link up · ${milliseconds(link.rtt_ms)}` : `link down: ${link.cause}`, link.up ? "good" : "warn");
  byId("reset").hidden = !stopped;
  byId("stop").textContent = stopped ? "Stopped" : "Emergency stop";
  const tracks = (state.tracks || []).map((track) => {
    const range = robot ? Math.hypot(track.x - robot.x, track.y - robot.y) : NaN;
    return { ...track, range };
  }).sort((a, b) => a.range - b.range);
  rows("tracks", tracks.slice(0, 12).map((track) => [
    track.id, track.class, `${track.range.toFixed(1)} m`, `${Math.hypot(track.vx, track.vy).toFixed(1)} m/s`,
    SOURCES.filter(([bit]) => track.sources & bit).map(([, name]) => name).join(", "),
  ]));
  rows("stages", Object.entries(state.stages).map(([name, stage]) => [
    name.replaceAll("_", " "), milliseconds(stage.p95_ms), milliseconds(stage.budget_ms), `${stage.missed} of ${stage.runs}`,
  ]));
  facts([
    ["speed", robot ? `${robot.v.toFixed(2)} m/s, ${robot.w.toFixed(2)} rad/s` : "–"],
    ["commanded", state.command ? `${state.command[0].toFixed(2)} m/s, ${state.command[1].toFixed(2)} rad/s` : "–"],
    ["speed limit", mode ? `${mode.max_speed.toFixed(2)} m/s` : "–"],
    ["last work", link && link.placement ? link.placement : "–"],
    ["offloaded", link ? `${link.offered} offered, ${link.answered} in time, ${link.late} late, ${link.failed} failed` : "–"],
  ]);
}

const share = (value) => (value === null ? "–" : `${Math.round(100 * value)} %`);

function drawFleet() {
  const endpoints = state.link ? state.link.endpoints : [];
  rows("endpoints", endpoints.map((it) => [
    `${it.name} (${it.tier})`, it.up ? (it.breaker === "closed" ? "up" : `up, breaker ${it.breaker}`) : it.cause,
    `${milliseconds(it.rtt_ms)}, p95 ${milliseconds(it.rtt_p95_ms)}`, share(it.loss),
    it.bandwidth === null ? "–" : `${Math.round(it.bandwidth / 1e3)} kB/s`,
  ]));
  rows("privacy", Object.values(state.privacy).flat().map((it) => [
    `${it.kind.replaceAll("_", " ")} → ${it.tier}`, it.level, it.cleared, it.withheld,
    Object.entries(it.reasons).map(([why, times]) => `${why} (${times})`).join(", "),
  ]));
}

function label(pen, text, left, bottom) {
  const box = pen.fillStyle;
  pen.fillRect(left, bottom - 14, pen.measureText(text).width + 6, 14);
  pen.fillStyle = "#fff";
  pen.fillText(text, left + 3, bottom - 3);
  pen.fillStyle = box;
}

function drawCamera() {
  const canvas = byId("camera");
  const age = picture ? picture.header.age + (performance.now() - picture.arrived) / 1000 : Infinity;
  byId("stale").hidden = age < STALE_AFTER;
  byId("camera-age").textContent = picture ? `${Math.round(age * 1000)} ms old` : "no picture yet";
  if (!picture) return;
  if (canvas.width !== picture.header.width || canvas.height !== picture.header.height) {
    canvas.width = picture.header.width;
    canvas.height = picture.header.height;
  }
  const pen = canvas.getContext("2d");
  pen.drawImage(picture.image, 0, 0);
  if (!state) return;
  for (const tier of ["fleet", "onboard"]) {
    if (!state[tier] || state.ages[tier] > STALE_AFTER) continue;
    pen.strokeStyle = pen.fillStyle = colour(tier);
    pen.lineWidth = 2;
    pen.font = "11px system-ui, sans-serif";
    for (const box of state[tier]) {
      const [left, top] = [box.x - box.w / 2, box.y - box.h / 2];
      pen.strokeRect(left, top, box.w, box.h);
      if (tier === "onboard") label(pen, `${box.class} ${box.score.toFixed(2)}`, left, Math.max(14, top));
      else label(pen, `${box.class} · ${box.tier}`, left, top + box.h + 14);
    }
  }
}

function drawMap() {
  const canvas = byId("map");
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = "#808080";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  if (!state || !state.robot) return;
  // Robot in the middle, 20 m across, +x to the right, +y up.
  const { x, y, yaw } = state.robot;
  const scale = canvas.width / 20;
  const at = (px, py) => [canvas.width / 2 + (px - x) * scale, canvas.height / 2 - (py - y) * scale];
  pen.imageSmoothingEnabled = false;
  if (costmap) {
    const { header, image } = costmap;
    const [left, top] = at(header.x, header.y + header.height * header.resolution);
    pen.drawImage(image, left, top, header.width * header.resolution * scale, header.height * header.resolution * scale);
  }
  const line = (points, name, width) => {
    if (!points || !points.length) return;
    pen.strokeStyle = colour(name);
    pen.lineWidth = width;
    pen.beginPath();
    points.forEach(([px, py], index) => (index ? pen.lineTo(...at(px, py)) : pen.moveTo(...at(px, py))));
    pen.stroke();
  };
  line(state.path, "path", 3);
  line(state.trajectory, "trajectory", 4);
  pen.font = "14px system-ui, sans-serif";
  for (const track of state.tracks || []) {
    const [px, py] = at(track.x, track.y);
    pen.save();
    pen.translate(px, py);
    pen.rotate(-track.yaw);
    pen.strokeStyle = colour("track");
    pen.lineWidth = 2;
    pen.strokeRect(-track.length * scale / 2, -track.width * scale / 2, track.length * scale, track.width * scale);
    pen.restore();
    line([[track.x, track.y], [track.x + track.vx, track.y + track.vy]], "track", 2);
    pen.fillStyle = colour("track");
    pen.fillText(`${track.class} ${track.id}`, px + 8, py - 8);
  }
  if (state.goal) {
    pen.fillStyle = colour("fleet");
    pen.beginPath();
    pen.arc(...at(...state.goal), 8, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.save();
  pen.translate(...at(x, y));
  pen.rotate(-yaw);
  pen.fillStyle = colour("onboard");
  pen.beginPath();
  pen.moveTo(0.3 * scale, 0);
  pen.lineTo(-0.2 * scale, 0.17 * scale);
  pen.lineTo(-0.2 * scale, -0.17 * scale);
  pen.fill();
  pen.restore();
}

function paint() {
  drawCamera();
  drawMap();
  requestAnimationFrame(paint);
}

byId("stop").addEventListener("click", () => command("stop"));
byId("reset").addEventListener("click", () => command("reset"));
// The space bar stops whatever has the focus, unless it would press another button.
document.addEventListener("keydown", (event) => {
  if (event.code === "Space" && event.target.tagName !== "BUTTON") {
    event.preventDefault();
    command("stop");
  }
});
connect();
requestAnimationFrame(paint);
