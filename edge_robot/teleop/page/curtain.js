// A warning that appears by itself when this page's program hangs and can no longer say that a picture is old.

const GRACE = 0.5; // s after which the page itself should long have warned

/** Falls over a picture unless it is lifted again in time. The browser's compositor draws it, not this thread. */
export class Curtain {
  #falling;

  /** `limit` is the age in s from which the picture is stale. */
  constructor(element, limit) {
    const [hidden, shown] = [{ opacity: 0 }, { opacity: 1 }];
    const fall = (limit + GRACE) * 1000;
    this.#falling = element.animate([hidden, { ...hidden, offset: 0.99 }, shown], { duration: fall, fill: "forwards" });
  }

  /** Says that the picture is `age` s old. */
  lift(age) {
    this.#falling.currentTime = Math.min(age * 1000, this.#falling.effect.getTiming().duration);
    this.#falling.play();
  }
}
