// One connection of the page to /ws/control: opens it, notices when it is dead, answers its ticks.

const SILENCE = 2000; // ms without a tick (25 of them come in a second), after which the link is dead
const CLOGGED = 2048; // bytes not yet sent; another input behind them would arrive too old to count

const rounded = (value) => Number(value.toFixed(4));

/** Events: `open`; `message`, what the robot said but for ticks; `rtt` {ms}; `lost` {text, opened}, the last one. */
export class Way extends EventTarget {
  joined = false; // speaks for the page's seat; for whoever has the connections to know, who sets it
  #inputs;
  #socket;
  #opened = false;
  #heardAt = performance.now();
  #tick = null; // the newest
  #watching;

  /** `inputs` gives the sample that a tick is answered with. */
  constructor(inputs) {
    super();
    this.#inputs = inputs;
    this.#socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/control`);
    this.#socket.onopen = () => {
      this.#opened = true;
      this.#tell("open", {});
    };
    this.#socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    this.#socket.onclose = (event) => this.lose(event.reason || "The connection to the robot is lost");
    this.#watching = setInterval(() => {
      if (this.silence > SILENCE) this.lose("Nothing was heard from the robot for two seconds");
    }, 500);
  }

  get isOpen() {
    return this.#socket !== null && this.#socket.readyState === WebSocket.OPEN;
  }

  /** For how long nothing was heard, ms. */
  get silence() {
    return performance.now() - this.#heardAt;
  }

  send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  sendInput() {
    if (this.#tick === null || !this.isOpen || this.#socket.bufferedAmount > CLOGGED) return;
    const { n, held, vx, vy, wz, age_ms } = this.#inputs.sample();
    this.send({
      type: "input", tick: this.#tick, n, held, vx: rounded(vx), vy: rounded(vy), wz: rounded(wz), age_ms: rounded(age_ms),
    });
  }

  /** Give the connection up without waiting for the other end, which may never answer. */
  lose(text) {
    const socket = this.#socket;
    if (socket === null) return;
    clearInterval(this.#watching);
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#tell("lost", { text, opened: this.#opened });
  }

  #hear(message) {
    this.#heardAt = performance.now();
    if (message.type !== "tick") {
      this.#tell("message", message);
      return;
    }
    this.#tick = message.tick;
    this.sendInput();
    if (message.rtt_ms !== null) this.#tell("rtt", { ms: message.rtt_ms });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
