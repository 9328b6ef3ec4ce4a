// What the operator's hands do: keyboard, on-screen stick and gamepad, read as one velocity.
//
// Hold to drive: whatever is let go, lost, hidden or in doubt is neutral, and has to be pressed anew.
// A sample is new only where the devices were really read, on an animation frame; so a page that no
// longer draws, or no longer runs, sends samples that grow old, and the robot stops by their age.

// Deflections are [forward, left, turn left], each -1..1, the axes of REP-103.
const KEYS = {
  KeyW: [1, 0, 0], ArrowUp: [1, 0, 0],
  KeyS: [-1, 0, 0], ArrowDown: [-1, 0, 0],
  KeyQ: [0, 1, 0],
  KeyE: [0, -1, 0],
  KeyA: [0, 0, 1], ArrowLeft: [0, 0, 1],
  KeyD: [0, 0, -1], ArrowRight: [0, 0, -1],
};
const SLOW = 1 / 3; // with Shift
const RISE = 2.5; // full deflections per second, so that a key is not a kick
const FALL = 6;
const LONGEST_STEP = 0.05; // s, of that ramp: a late frame is no leap
const DEAD_ZONE = 0.08; // of a stick's radius
const EXPO = 0.5; // 0: a linear stick; 1: cubic, finest about its middle
const LOST_FRAMES = 400; // ms without a frame, after which nobody knows what was let go meanwhile

// Of the standard gamepad (w3.org/TR/gamepad): both shoulders and both triggers; B or circle.
const DEAD_MAN = [4, 5, 6, 7];
const STOP_BUTTON = 1;

/** A stick's two axes with a round dead zone, inside the unit circle, finer about the middle. */
export function shape(x, y) {
  const radius = Math.hypot(x, y);
  if (!(radius > DEAD_ZONE)) return [0, 0]; // an axis that is NaN too
  const scale = Math.min(1, (radius - DEAD_ZONE) / (1 - DEAD_ZONE)) / radius;
  return [x * scale, y * scale].map((part) => (1 - EXPO) * part + EXPO * part ** 3);
}

/** The sum of deflections, no longer than one: a diagonal is not faster than straight on. */
export function combine(deflections) {
  const sum = [0, 1, 2].map((axis) => deflections.reduce((total, it) => total + it[axis], 0));
  const length = Math.max(1, Math.hypot(...sum));
  return sum.map((part) => part / length);
}

/** `value` on its way to `target` after `dt` seconds; it passes through zero before it turns. */
export function approach(value, target, dt) {
  const aim = value * target < 0 ? 0 : target;
  const step = (Math.abs(aim) > Math.abs(value) ? RISE : FALL) * dt;
  return value + Math.max(-step, Math.min(step, aim - value));
}

/**
 * Reads the operator's devices once per frame.
 *
 * Events: `device` {name, kind, held} when another device drives, or none; `gamepad` {name|null};
 * `press` {action} for a gamepad's buttons; `released` at the moment when driving ends.
 */
export class Inputs extends EventTarget {
  speed = 0; // m/s at full deflection
  yawRate = 0; // rad/s at full deflection
  holonomic = false; // whether the robot moves sideways

  #enabled = false;
  #stick;
  #knob;
  #keys = new Set();
  #slow = false;
  #pointer = null; // id of the pointer that holds the stick
  #deflected = [0, 0]; // of the on-screen stick: right and down, -1..1
  #pad = null; // name of the gamepad
  #armed = false; // its dead-man button was seen released
  #stopPressed = false;
  #command = [0, 0, 0]; // the deflection as the ramp has it
  #device = { name: null, kind: null, held: false };
  #sample = { n: 0, at: 0, held: false, vx: 0, vy: 0, wz: 0 };
  #frameAt = performance.now();

  /** `stick` is the round area of the on-screen stick, `knob` the disc in it. */
  constructor({ stick, knob }) {
    super();
    this.#stick = stick;
    this.#knob = knob;
    document.addEventListener("keydown", (event) => this.#keyDown(event));
    document.addEventListener("keyup", (event) => this.#keyUp(event));
    stick.addEventListener("pointerdown", (event) => this.#grasp(event));
    stick.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      stick.addEventListener(end, (event) => event.pointerId === this.#pointer && this.#letGo());
    }
    stick.addEventListener("contextmenu", (event) => { // a finger that rests on it is no wish for a menu
      event.preventDefault();
      event.stopPropagation();
    });
    const neutral = () => this.neutral();
    for (const end of ["blur", "pagehide", "beforeprint"]) window.addEventListener(end, neutral);
    for (const end of ["visibilitychange", "freeze", "contextmenu"]) document.addEventListener(end, neutral);
    requestAnimationFrame(() => this.#frame());
  }

  /** Whether the devices may drive; what is held when that changes has to be pressed anew. */
  get enabled() {
    return this.#enabled;
  }

  set enabled(enabled) {
    if (enabled === this.#enabled) return;
    this.#enabled = enabled;
    this.neutral();
  }

  /** The newest sample, in the robot's units, with its age. */
  sample() {
    if (performance.now() - this.#sample.at > LOST_FRAMES && this.#sample.held) this.neutral();
    const { at, ...sample } = this.#sample;
    return { ...sample, age_ms: performance.now() - at };
  }

  /** Let go of everything at once. */
  neutral() {
    this.#keys.clear();
    this.#armed = false;
    this.#letGo();
    this.#read(0);
  }

  #frame() {
    requestAnimationFrame(() => this.#frame());
    const now = performance.now();
    const gap = now - this.#frameAt;
    this.#frameAt = now;
    if (gap > LOST_FRAMES || !document.hasFocus() || document.querySelector("dialog[open]")) {
      this.neutral();
    } else {
      if (!this.#mayType(document.activeElement)) this.#keys.clear();
      this.#read(Math.min(gap / 1000, LONGEST_STEP));
    }
  }

  #read(dt) {
    const [kind, name, target] = this.#target();
    const held = kind !== null;
    this.#command = this.#command.map((part, axis) => (held ? approach(part, target[axis], dt) : 0));
    const [forward, left, turn] = this.#command;
    const wasHeld = this.#sample.held;
    this.#sample = {
      n: this.#sample.n + 1,
      at: performance.now(),
      held,
      vx: forward * this.speed,
      vy: left * this.speed,
      wz: turn * this.yawRate,
    };
    this.#show(kind);
    if (wasHeld && !held) this.dispatchEvent(new CustomEvent("released"));
    if (kind !== this.#device.kind || name !== this.#device.name) {
      this.#device = { name, kind, held };
      this.dispatchEvent(new CustomEvent("device", { detail: this.#device }));
    }
  }

  /** Which device is held, its name, and the deflection it asks for. */
  #target() {
    const pad = this.#readGamepad();
    if (this.#pointer !== null) {
      const [right, down] = shape(...this.#deflected);
      return ["stick", "stick", [-down, 0, -right]];
    }
    if (pad) return ["gamepad", this.#pad, pad];
    if (!this.#keys.size) return [null, null, [0, 0, 0]];
    const pressed = [...this.#keys].map((code) => KEYS[code]);
    const scale = this.#slow ? SLOW : 1;
    return ["keyboard", "keyboard", combine(pressed).map((part) => part * scale)];
  }

  #show(kind) {
    const [forward, left, turn] = this.#command;
    const [x, y] = kind === "stick" ? this.#deflected : [-(turn || left), -forward];
    this.#knob.style.setProperty("--x", x.toFixed(3));
    this.#knob.style.setProperty("--y", y.toFixed(3));
    this.#stick.classList.toggle("held", kind !== null);
  }

  // --- keyboard ---

  /** Whether keys are for driving where the focus is; elsewhere they move lists, sliders, text. */
  #mayType(focused) {
    return !focused || focused === document.body || focused.closest("[data-drive]") !== null;
  }

  #keyDown(event) {
    this.#slow = event.shiftKey;
    if (event.ctrlKey || event.altKey || event.metaKey) return this.neutral(); // keyup may not come
    const drives = event.code in KEYS && (this.holonomic || !KEYS[event.code][1]);
    if (!this.#enabled || !drives || event.isComposing || !this.#mayType(event.target)) return undefined;
    event.preventDefault(); // arrows scroll
    if (!event.repeat) this.#keys.add(event.code);
    return undefined;
  }

  #keyUp(event) {
    this.#slow = event.shiftKey;
    this.#keys.delete(event.code);
    if (this.#sample.held && !this.#keys.size) this.#read(0);
  }

  // --- on-screen stick ---

  #grasp(event) {
    if (!this.#enabled || this.#pointer !== null || event.button !== 0) return;
    this.#stick.setPointerCapture(event.pointerId);
    this.#pointer = event.pointerId;
    this.#move(event);
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    if (event.buttons === 0) return this.#letGo(); // released where no event could tell
    const { left, top, width, height } = this.#stick.getBoundingClientRect();
    const [x, y] = [(2 * (event.clientX - left)) / width - 1, (2 * (event.clientY - top)) / height - 1];
    const radius = Math.max(1, Math.hypot(x, y));
    this.#deflected = [x / radius, y / radius];
    return undefined;
  }

  #letGo() {
    if (this.#pointer === null) return;
    const pointer = this.#pointer;
    this.#pointer = null;
    this.#deflected = [0, 0];
    if (this.#stick.hasPointerCapture(pointer)) this.#stick.releasePointerCapture(pointer);
    this.#read(0);
  }

  // --- gamepad ---

  /** The deflection that a gamepad asks for while its dead-man button is held, else null. */
  #readGamepad() {
    const pad = navigator.getGamepads().find((it) => it && it.connected && it.mapping === "standard");
    if ((pad ? pad.id : null) !== this.#pad) {
      this.#pad = pad ? pad.id : null;
      this.#armed = false;
      this.dispatchEvent(new CustomEvent("gamepad", { detail: { name: this.#pad } }));
    }
    if (!pad) return null;
    const stop = Boolean(pad.buttons[STOP_BUTTON]?.pressed);
    const pressed = stop && !this.#stopPressed;
    this.#stopPressed = stop; // before who hears of it calls neutral(), which reads again
    if (pressed) this.dispatchEvent(new CustomEvent("press", { detail: { action: "stop" } }));
    const held = DEAD_MAN.some((button) => pad.buttons[button]?.pressed);
    if (!held) this.#armed = this.#enabled;
    if (!held || !this.#armed) return null;
    const [right, down] = shape(pad.axes[0], pad.axes[1]);
    if (!this.holonomic) return [-down, 0, -right];
    return combine([[-down, -right, -shape(pad.axes[2], 0)[0]]]);
  }
}
