// The map's window on the world: odom's metres (x right, y up) to the canvas' pixels and back; no drawing.

const LEAST = 6;    // px/m
const MOST = 220;

export class Frame {
  x = 0;           // m, what is in the middle
  y = 0;
  scale = 42;      // px/m
  width = 1;       // px
  height = 1;

  /** World to canvas. */
  at(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  /** Canvas to world. */
  world(px, py) {
    return [this.x + (px - this.width / 2) / this.scale, this.y - (py - this.height / 2) / this.scale];
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
  }

  /** Zooms by `factor` so that what is at (px, py) stays there. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.world(px, py);
    this.scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    const [nowX, nowY] = this.world(px, py);
    this.x += x - nowX;
    this.y += y - nowY;
  }
}
