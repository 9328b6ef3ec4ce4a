// Figures as text.

const known = (value) => typeof value === "number" && Number.isFinite(value);

export const number = (value, digits, unit) => (known(value) ? `${value.toFixed(digits)} ${unit}` : "–");
export const milliseconds = (value) => number(value, value < 10 ? 1 : 0, "ms");
export const percent = (value) => (known(value) ? `${Math.round(100 * value)} %` : "–");
export const rate = (bytes) => (known(bytes) ? `${Math.round(bytes / 1e3)} kB/s` : "–");
export const words = (name) => String(name).replaceAll("_", " ");

/** An age as words that are short and do not flicker: 0.12 s, 3.4 s, 2 min. */
export function age(seconds) {
  if (!known(seconds)) return "–";
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

/** Local time of day of a wall-clock time in s. */
export const clock = (seconds) => (known(seconds) ? new Date(seconds * 1000).toLocaleTimeString(undefined, { hour12: false }) : "–");
