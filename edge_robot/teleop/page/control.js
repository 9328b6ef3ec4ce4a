// The page's end of /ws/control: answers the robot's ticks with the newest input, carries what the
// operator asks for, and brings a stop through by every way there is.

const SILENCE = 2000; // ms without a tick (25 of them come in a second), after which the link is dead
const FIRST_RETRY = 200; // ms
const LAST_RETRY = 1000;
const ANSWER_WITHIN = 3000; // ms
const CLOGGED = 2048; // bytes not yet sent; another input behind them would arrive too old to count
const STOP_BY_SOCKET = 100; // ms for the socket alone, before the stop is posted too
const STOP_AGAIN = 500;
const STOP_FOR = 10_000;
const POST_WITHIN = 3000; // a new connection by TLS needs several round trips
const NOT_CONNECTED = "No connection to the robot";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const rounded = (value) => Number(value.toFixed(4));

/**
 * The connection over which the operator drives; it reconnects by itself for as long as the page lives.
 *
 * Events: `connection` {open, text, expired (log in again)}; `status`, the robot's message; `rtt` {ms}, measured by
 * the robot; `stop` {state: "sending" | "delivered" | "undelivered", text}. What the operator asks for
 * resolves to {ok, text}, with words for the operator, and never rejects.
 */
export class Control extends EventTarget {
  #inputs = null;
  #socket = null;
  #opened = false; // this socket was
  #heardAt = 0;
  #retry = FIRST_RETRY;
  #retrying = null;
  #tick = null; // the newest
  #lastId = 0;
  #asked = new Map(); // id → what resolves its promise
  #stopping = null;

  constructor() {
    super();
    setInterval(() => this.#watch(), 500);
    window.addEventListener("pagehide", () => this.#lose("This page was left", { again: false }));
    window.addEventListener("pageshow", (event) => event.persisted && this.connect());
    window.addEventListener("online", () => this.#retrying !== null && this.connect());
  }

  /** Answer every tick with the newest sample of `inputs`. */
  drive(inputs) {
    this.#inputs = inputs;
    inputs.addEventListener("released", () => this.#sendInput()); // not first at the next tick
  }

  /** Open the connection, now. */
  connect() {
    clearTimeout(this.#retrying);
    this.#retrying = null;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/control`);
    this.#socket = socket;
    this.#opened = false;
    this.#heardAt = performance.now();
    socket.onopen = () => {
      this.#opened = true;
      this.#tell("connection", { open: true, text: "Connected" });
    };
    socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => this.#lose(event.reason || "The connection to the robot is lost");
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
      if (this.#isOpen) {
        this.#request({ type: "stop" }, STOP_FOR).then(answered);
        answer = await Promise.race([delivered, sleep(STOP_BY_SOCKET)]);
      }
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

  get #isOpen() {
    return this.#socket !== null && this.#socket.readyState === WebSocket.OPEN;
  }

  #request(request, within = ANSWER_WITHIN) {
    if (!this.#isOpen) return Promise.resolve({ ok: false, text: NOT_CONNECTED });
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ ...request, id }));
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle({ ok: false, text: "The robot did not answer" }), within);
      const settle = (answer) => {
        clearTimeout(timer);
        this.#asked.delete(id);
        resolve(answer);
      };
      this.#asked.set(id, settle);
    });
  }

  #hear(message) {
    this.#heardAt = performance.now();
    this.#retry = FIRST_RETRY;
    if (message.type === "tick") {
      this.#tick = message.tick;
      this.#sendInput();
      if (message.rtt_ms !== null) this.#tell("rtt", { ms: message.rtt_ms });
    } else if (message.type === "status") {
      this.#tell("status", message);
    } else if (message.type === "answer") {
      this.#asked.get(message.id)?.({ ok: message.ok, text: message.text });
    }
  }

  #sendInput() {
    if (this.#tick === null || !this.#isOpen || this.#socket.bufferedAmount > CLOGGED) return;
    const { n, held, vx, vy, wz, age_ms } = this.#inputs.sample();
    this.#socket.send(JSON.stringify({
      type: "input", tick: this.#tick, n, held, vx: rounded(vx), vy: rounded(vy), wz: rounded(wz), age_ms: rounded(age_ms),
    }));
  }

  #watch() {
    if (this.#socket !== null && performance.now() - this.#heardAt > SILENCE) {
      this.#lose("Nothing was heard from the robot for two seconds");
    }
  }

  /** Give the connection up without waiting for the other end, which may never answer. */
  #lose(text, { again = true } = {}) {
    const socket = this.#socket;
    if (socket === null) return;
    this.#inputs?.neutral(); // still sent, if anything can be
    this.#socket = null;
    this.#tick = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    for (const settle of [...this.#asked.values()]) settle({ ok: false, text: `${text}, before it answered` });
    this.#tell("connection", { open: false, expired: false, text: again ? `${text}; connecting again…` : text });
    if (!again) return;
    if (!this.#opened) this.#checkSession();
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
