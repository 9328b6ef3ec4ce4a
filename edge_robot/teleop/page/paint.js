// When to draw: once per frame of the display, only what changed, nothing while the page is hidden.

const waiting = new Set();
let scheduled = false;

function flush() {
  scheduled = false;
  const now = [...waiting];
  waiting.clear();
  for (const draw of now) draw();
}

// Has `draw` called before the next frame, once however often it is asked for.
function repaint(draw) {
  waiting.add(draw);
  if (scheduled || document.hidden) return;
  scheduled = true;
  requestAnimationFrame(flush);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && waiting.size && !scheduled) {
    scheduled = true;
    requestAnimationFrame(flush);
  }
});

/** Something that is drawn: at once, or with whatever else comes within `patience` ms. */
export class Drawing {
  #draw;
  #patience;
  #timer = null;

  constructor(draw, patience) {
    this.#draw = () => {
      clearTimeout(this.#timer);
      this.#timer = null;
      draw();
    };
    this.#patience = patience;
  }

  now() {
    repaint(this.#draw);
  }

  soon() {
    this.#timer ??= setTimeout(() => this.now(), this.#patience);
  }
}

/** Calls `work` every `period` ms while the page is visible. */
export function every(period, work) {
  setInterval(() => { if (!document.hidden) work(); }, period);
}

/**
 * A canvas that has as many pixels as the display shows of it.
 * @returns {{pen, width: number, height: number, dense: number}} CSS pixels; the pen is scaled to them.
 */
export function sheet(canvas) {
  const dense = Math.min(devicePixelRatio || 1, 2);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const [columns, rows] = [Math.round(width * dense), Math.round(height * dense)];
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
  }
  const pen = canvas.getContext("2d", { alpha: false });
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  return { pen, width, height, dense };
}
