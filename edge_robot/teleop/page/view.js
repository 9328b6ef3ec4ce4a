// The robot's view: the socket /ws/view, the newest of every section and picture, and how old each is.

import { Transit } from "./freshness.js";

const AGAIN = 1000;       // ms until a lost connection is tried again
const SILENCE = 2500;     // ms without any message after which a connection counts as lost
const HIDDEN = 5000;      // ms that a hidden page stays connected

/**
 * Events: `connection` {open, reason}, `sections` {names}, `picture` {kind, header, image, born}.
 * Ages count from the robot's measurement, and go on while nothing comes.
 */
export class View extends EventTarget {
  sections = {};
  open = false;
  lostAt = performance.now();
  #born = {};
  #newest = {};
  #transit = new Transit();
  #socket = null;
  #heard = 0;
  #retry = null;
  #hiding = null;
  #camera = null;

  connect() {
    document.addEventListener("visibilitychange", () => this.#visibility());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#dial());
    addEventListener("online", () => this.#dial());
    setInterval(() => this.#watch(), 500);
    this.#dial();
  }

  /** Returns the age of a section in s; Infinity if it never came, or does not age. */
  age(name) {
    return name in this.#born ? (performance.now() - this.#born[name]) / 1000 : Infinity;
  }

  /** Looks through another of the robot's cameras. */
  look(camera) {
    this.#camera = camera;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type: "camera", name: camera }));
  }

  #dial() {
    clearTimeout(this.#retry);
    if (this.#socket || document.hidden) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/view`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#heard = performance.now();
    this.#transit.reconnected();
    if (this.#camera) socket.onopen = () => this.look(this.#camera);
    // A socket that was given up may still deliver: only the present one is heard.
    const mine = (then) => (event) => { if (this.#socket === socket) then(event); };
    socket.onmessage = mine(({ data }) => {
      this.#heard = performance.now();
      this.#state(true);
      if (typeof data === "string") this.#text(JSON.parse(data));
      else this.#binary(socket, data);
    });
    socket.onclose = mine(({ code, reason }) => this.#lost(reason || (code === 1006 ? "" : `closed with code ${code}`)));
  }

  #lost(reason) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#newest = {};
    this.#state(false, reason);
    this.#retry = setTimeout(() => this.#dial(), AGAIN);
  }

  #state(open, reason = "") {
    if (this.open === open) return;
    this.open = open;
    if (!open) this.lostAt = performance.now();
    this.dispatchEvent(new CustomEvent("connection", { detail: { open, reason } }));
  }

  #watch() {
    if (this.#socket && performance.now() - this.#heard > SILENCE) this.#lost("the robot is silent");
  }

  // A page nobody looks at costs the robot and the telephone nothing.
  #visibility() {
    clearTimeout(this.#hiding);
    if (document.hidden) this.#hiding = setTimeout(() => this.#socket && this.#lost("paused: the page is hidden"), HIDDEN);
    else this.#dial();
  }

  #text({ type, sections, ages, sent, rtt }) {
    if (type !== "state") return;
    const now = performance.now();
    const delay = this.#transit.delay(sent, rtt, now);
    for (const [name, age] of Object.entries(ages)) this.#born[name] = now - (age + delay) * 1000;
    Object.assign(this.sections, sections);
    this.dispatchEvent(new CustomEvent("sections", { detail: { names: Object.keys(sections) } }));
  }

  async #binary(socket, buffer) {
    const now = performance.now();
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const born = now - (header.age + this.#transit.delay(header.sent, header.rtt, now)) * 1000;
    const bytes = new Uint8Array(buffer, 4 + length);
    // Shorter than it says: the robot gave it up on its way, for it had grown too old.
    const whole = bytes.length === header.bytes;
    if (whole) this.#newest[header.kind] = header.id;
    let image = null;
    try {
      if (whole) image = await createImageBitmap(new Blob([bytes]));
    } catch (error) {
      console.warn(`a picture (${header.kind}) could not be decoded: ${error.message}`);
    }
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "seen", id: header.id }));
    if (!image) return;
    if (this.#newest[header.kind] !== header.id) {
      image.close();
      return;
    }
    this.dispatchEvent(new CustomEvent("picture", { detail: { kind: header.kind, header, image, born } }));
  }
}
