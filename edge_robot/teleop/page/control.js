// What the operator asks of the robot, over two connections to /ws/control: a packet that is lost holds
// up what follows it on one of them, but seldom on both. A stop is brought through by every way there is.

import { Way } from "./way.js";

const FIRST_RETRY = 200; // ms
const LAST_RETRY = 1000;
const WAYS = 2;
const ANSWER_WITHIN = 3000; // ms
const STOP_BY_SOCKET = 100; // ms for the sockets alone, before the stop is posted too
const STOP_AGAIN = 500;
const STOP_FOR = 10_000;
const POST_WITHIN = 3000; // a new connection by TLS needs several round trips
const NOT_CONNECTED = "No connection to the robot";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/**
 * The connections over which the operator drives; they are opened again for as long as the page lives.
 *
 * Events: `connection` {open, text, expired (log in again)}; `status`, the robot's message; `rtt` {ms}, measured by
 * the robot; `stop` {state: "sending" | "delivered" | "undelivered", text}. What the operator asks for
 * resolves to {ok, text}, with words for the operator, and never rejects.
 */
export class Control extends EventTarget {
  #inputs = null;
  #ways = []; // the oldest first
  #seat = null; // the robot's number for this page, which all its connections have joined
  #retry = FIRST_RETRY;
  #retrying = null;
  #lastId = 0;
  #asked = new Map(); // id → { way, settle }
  #stopping = null;

  constructor() {
    super();
    window.addEventListener("pagehide", () => this.#loseAll("This page was left", { again: false }));
    window.addEventListener("pageshow", (event) => event.persisted && this.connect());
    window.addEventListener("online", () => this.#retrying !== null && this.connect());
  }

  /** Answer every tick with the newest sample of `inputs`. */
  drive(inputs) {
    this.#inputs = inputs;
    inputs.addEventListener("released", () => this.#ways.forEach((way) => way.sendInput())); // not first at the next tick
  }

  /** Open a connection, now, if there is not every one yet. */
  connect() {
    clearTimeout(this.#retrying);
    this.#retrying = null;
    if (this.#ways.length === WAYS) return;
    const way = new Way(this.#inputs);
    this.#ways.push(way);
    way.addEventListener("open", () => {
      if (this.#ways[0] === way) this.#tell("connection", { open: true, text: "Connected" });
      else this.#join(way);
    });
    way.addEventListener("rtt", ({ detail }) => this.#ways[0] === way && this.#tell("rtt", detail));
    way.addEventListener("message", ({ detail }) => this.#hear(way, detail));
    way.addEventListener("lost", ({ detail }) => this.#lose(way, detail));
  }

  take(force = false) {
    return this.#request({ type: "take", force });
  }

  handBack() {
    return this.#request({ type: "hand_back" });
  }

  /** Ask who drives for the wheel. */
  ask() {
    return this.#request({ type: "ask" });
  }

  reset() {
    return this.#request({ type: "reset" });
  }

  /** Send the robot to x, y (m) and yaw (rad) in the frame odom. */
  goal(x, y, yaw) {
    return this.#request({ type: "goal", x, y, yaw });
  }

  cancelGoal() {
    return this.#request({ type: "cancel_goal" });
  }

  /** Bound the operator's own speed, m/s. */
  limit(speed) {
    return this.#request({ type: "limit", speed });
  }

  /** Stop the robot; tried by every way for ten seconds, until one of them answers. */
  stop() {
    this.#inputs?.neutral();
    this.#stopping ??= this.#deliverStop().finally(() => {
      this.#stopping = null;
    });
    return this.#stopping;
  }

  async #deliverStop() {
    let reason = "no answer";
    let posting = false;
    let answered;
    const delivered = new Promise((resolve) => {
      answered = (answer) => {
        if (answer.ok) resolve(answer);
        else reason = answer.text;
      };
    });
    this.#tell("stop", { state: "sending", text: "Stopping…" });
    for (const end = performance.now() + STOP_FOR; performance.now() < end; ) {
      let answer;
      const round = sleep(STOP_AGAIN);
      const open = this.#ways.filter((way) => way.isOpen);
      for (const way of open) this.#request({ type: "stop" }, STOP_FOR, way).then(answered);
      if (open.length) answer = await Promise.race([delivered, sleep(STOP_BY_SOCKET)]);
      if (!answer && !posting) {
        posting = true;
        this.#post("/stop").then(answered).finally(() => {
          posting = false;
        });
      }
      answer ??= await Promise.race([delivered, round]);
      if (answer) {
        this.#tell("stop", { state: "delivered", text: answer.text });
        return answer;
      }
      this.#tell("stop", { state: "undelivered", text: `Stop NOT delivered: ${reason}. Still trying; use the button on the robot.` });
    }
    const text = `Stop NOT delivered: ${reason}. Press again, or use the button on the robot.`;
    this.#tell("stop", { state: "undelivered", text });
    return { ok: false, text };
  }

  async #post(path) {
    try {
      const response = await fetch(path, {
        method: "POST",
        keepalive: true, // goes out though the page is being left
        signal: AbortSignal.timeout(POST_WITHIN),
      });
      return { ok: response.ok, text: (await response.text()).trim() };
    } catch (error) {
      return { ok: false, text: `no answer (${error.message})` };
    }
  }

  /** The one that was heard last. */
  get #best() {
    const open = this.#ways.filter((way) => way.isOpen && (way.joined || this.#seat === null));
    return open.sort((one, other) => one.silence - other.silence)[0];
  }

  #request(request, within = ANSWER_WITHIN, way = this.#best) {
    if (!way) return Promise.resolve({ ok: false, text: NOT_CONNECTED });
    const id = ++this.#lastId;
    way.send({ ...request, id });
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle({ ok: false, text: "The robot did not answer" }), within);
      const settle = (answer) => {
        clearTimeout(timer);
        this.#asked.delete(id);
        resolve(answer);
      };
      this.#asked.set(id, { way, settle });
    });
  }

  async #join(way) {
    const { ok, text } = await this.#request({ type: "join", seat: this.#seat }, ANSWER_WITHIN, way);
    if (!ok) way.lose(text);
  }

  #hear(way, message) {
    if (message.type === "answer") {
      this.#asked.get(message.id)?.settle({ ok: message.ok, text: message.text });
    } else if (message.type === "status") {
      this.#seat ??= message.seat;
      if (message.seat !== this.#seat) return; // has yet to join
      way.joined = true;
      this.#retry = FIRST_RETRY;
      this.#tell("status", message);
      if (this.#retrying === null) this.connect();
    }
  }

  #lose(way, { text, opened }) {
    if (!this.#ways.includes(way)) return; // given up with all
    this.#ways = this.#ways.filter((each) => each !== way);
    this.#disappoint(way, text);
    if (this.#ways.some((each) => each.joined)) this.#retryLater();
    else this.#loseAll(text, { opened });
  }

  #loseAll(text, { again = true, opened = true } = {}) {
    this.#inputs?.neutral(); // still sent, if anything can be
    const ways = this.#ways;
    this.#ways = [];
    this.#seat = null;
    for (const way of ways) {
      way.lose(text);
      this.#disappoint(way, text);
    }
    this.#tell("connection", { open: false, expired: false, text: again ? `${text}; connecting again…` : text });
    if (!again) return;
    if (!opened) this.#checkSession();
    this.#retryLater();
  }

  /** Nobody will answer what was asked over this connection. */
  #disappoint(way, text) {
    for (const asked of [...this.#asked.values()]) {
      if (asked.way === way) asked.settle({ ok: false, text: `${text}, before it answered` });
    }
  }

  #retryLater() {
    clearTimeout(this.#retrying);
    const wait = this.#retry * (0.75 + 0.5 * Math.random()); // not all pages at once
    this.#retry = Math.min(2 * this.#retry, LAST_RETRY);
    this.#retrying = setTimeout(() => this.connect(), wait);
  }

  /** A refused WebSocket does not tell its page why; this does. */
  async #checkSession() {
    const status = await fetch("/session").then((response) => response.status, () => null);
    if (status === 401) this.#tell("connection", { open: false, expired: true, text: "Log in again" });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
