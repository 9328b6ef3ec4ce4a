// Where the robot's motion lies in a camera's picture: arcs on flat ground, projected; no drawing.

const NEAR = 0.1;   // m in front of the lens from which a point is in the picture
const STEPS = 24;

/**
 * The line that a point of the robot draws on the ground while it drives on as it does now.
 * @param {{vx: number, vy: number, wz: number}} command - m/s and rad/s, in base_link.
 * @param {number[]} point - x, y of the point in base_link, m.
 * @param {number} ahead - s.
 * @returns {number[][]} x, y in base_link as it is now, m.
 */
export function arc({ vx, vy, wz }, [x, y], ahead) {
  return Array.from({ length: STEPS + 1 }, (_, step) => {
    const t = (ahead * step) / STEPS;
    const yaw = wz * t;
    // The integral of the turning velocity: (sin, 1 − cos) / ω, whose limit without turning is (t, 0).
    const [a, b] = Math.abs(yaw) < 1e-4 ? [t, 0] : [Math.sin(yaw) / wz, (1 - Math.cos(yaw)) / wz];
    const [cos, sin] = [Math.cos(yaw), Math.sin(yaw)];
    return [a * vx - b * vy + cos * x - sin * y, b * vx + a * vy + sin * x + cos * y];
  });
}

/**
 * Where points on the ground lie in a picture.
 * @param {number[]} project - 3×4, row by row: pixels from base_link.
 * @param {number[][]} points - x, y in base_link, m.
 * @returns {Array<number[]|null>} px; null for what is behind the lens.
 */
export function seen(project, points) {
  return points.map(([x, y]) => {
    const [u, v, depth] = [0, 4, 8].map((row) => project[row] * x + project[row + 1] * y + project[row + 3]);
    return depth > NEAR ? [u / depth, v / depth] : null;
  });
}
