// The costmap's cells in the colours of the theme.

import { colour } from "./theme.js";

const UNKNOWN = 128;     // grey of a cell nobody has seen

const channels = (name) => colour(name).match(/[\d.]+/g).slice(0, 3).map(Number);

/** A costmap as it came: `header` says where it lies, `born` when it was made, on performance.now(). */
export class Costmap {
  #grey;
  #sketch;
  #coloured = false;

  constructor({ header, image, born }) {
    this.header = header;
    this.born = born;
    this.#sketch = new OffscreenCanvas(image.width, image.height);
    const pen = this.#sketch.getContext("2d", { willReadFrequently: true });
    pen.drawImage(image, 0, 0);
    image.close();
    this.#grey = pen.getImageData(0, 0, this.#sketch.width, this.#sketch.height).data;
  }

  /** Has the colours chosen anew when they are needed next. */
  fade() {
    this.#coloured = false;
  }

  /** Returns what a canvas draws; coloured once for each theme, not for each frame. */
  image() {
    if (!this.#coloured) this.#colour();
    return this.#sketch;
  }

  #colour() {
    const [free, occupied, unknown] = ["map-free", "map-occupied", "map-ground"].map(channels);
    const table = Array.from({ length: 256 }, (_, grey) => (grey === UNKNOWN ? unknown
      : free.map((value, channel) => occupied[channel] + (value - occupied[channel]) * grey / 255)));
    const pen = this.#sketch.getContext("2d");
    const cells = pen.createImageData(this.#sketch.width, this.#sketch.height);
    for (let i = 0; i < this.#grey.length; i += 4) {
      cells.data.set(table[this.#grey[i]], i);
      cells.data[i + 3] = 255;
    }
    pen.putImageData(cells, 0, 0);
    this.#coloured = true;
  }
}
