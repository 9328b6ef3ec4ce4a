// How old a thing may be before it is no longer shown as what is there now.

/** Age in s from which a section or picture is stale: several times its usual period. */
export const STALE = {
  camera: 0.6, onboard: 0.6, fleet: 1.0, lidar: 0.6, tracks: 0.6, pose: 0.5, command: 0.5,
  trajectory: 0.6, path: 3.0, map: 5.0, mode: 1.5, stopped: 3.0, link: 1.5, battery: 10,
};

/** Returns "none", "fresh", "late" (half way to stale) or "stale". */
export function freshness(name, seconds) {
  const limit = STALE[name] ?? Infinity;
  if (seconds === Infinity) return "none";
  return seconds > limit ? "stale" : seconds > limit / 2 ? "late" : "fresh";
}

const JUMP = 5; // s that nothing waits in a connection just opened: the robot's clock is another one
const WINDOW = 30_000; // ms for which a quick arrival is remembered; clocks drift 3 ms apart in it at most

/**
 * How long a message was under way, the queues of the network and a frozen page included.
 *
 * The robot's clock and ours differ by an unknown constant. The smallest difference seen within the window
 * belongs to the quickest message, which took half of the shortest round trip; any other took so much longer.
 */
export class Transit {
  #best = Infinity;
  #previous = Infinity;
  #since = -Infinity;
  #first = true;

  /** Says that the next message is the first of a new connection: perhaps of a robot that was started anew. */
  reconnected() {
    this.#first = true;
  }

  /**
   * @param {number} sent - the robot's clock when it sent the message, s.
   * @param {number} rtt - the link's shortest round trip, s.
   * @param {number} now - performance.now() when this page got it, ms.
   * @returns {number} s.
   */
  delay(sent, rtt, now) {
    const difference = now / 1000 - sent;
    if (this.#first && difference - Math.min(this.#best, this.#previous) > JUMP) this.#best = this.#previous = Infinity;
    this.#first = false;
    if (now - this.#since > WINDOW) {
      this.#previous = this.#best;
      this.#best = Infinity;
      this.#since = now;
    }
    this.#best = Math.min(this.#best, difference);
    return difference - Math.min(this.#best, this.#previous) + rtt / 2;
  }
}
