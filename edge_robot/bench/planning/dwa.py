"""A plain dynamic window approach, as a yardstick for the BARN benchmark.

The algorithm is that of Fox, Burgard and Thrun (1997), in the form of ROS's `base_local_planner`,
written anew here; the parameters are those that the BARN challenge publishes for its baseline
(0.5 m/s; `jackal_helper/configs/params`, commit bf5a226), including what lets that baseline down:
it maps obstacles only within 2.5 m, and where no way ahead is legal it backs up without looking.
Unlike there the global path is searched once a second (there at 20 Hz), and trajectories are
checked every 0.1 s (there every 2 cm).
"""

from __future__ import annotations

from math import cos, hypot, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from edge_robot.planning.costmap import Costmap, CostmapConfig, Grid, RangeScan
from edge_robot.planning.robot import MovingObjects, State
from edge_robot.sim.flat.interface import Odometry, Scan

Array = NDArray[np.float64]

_PERIOD = 0.05
_REPLAN = 1.0
_SPEEDS = np.linspace(0.1, 0.5, 6)
_TURNS = 20
_MOST_TURN, _LEAST_TURN_IN_PLACE = 1.57, 0.314
_TURN_WINDOW = 20.0 * _PERIOD  # rad/s, from acc_lim_theta
_TIMES = np.arange(1, 21) * 0.1
_LOOK_AHEAD = 0.325
_PATH_SCALE, _GOAL_SCALE = 0.75, 1.0
_OBSTACLE_SCALE = 0.1 * 0.05  # meter_scoring multiplies all three by the cell's side
_ESCAPE_SPEED, _ESCAPE_DISTANCE, _OSCILLATION_DISTANCE = -0.5, 0.1, 0.05
_MARK_RANGE = 2.5
_HALF_LENGTH, _HALF_WIDTH = 0.21 + 0.1, 0.165 + 0.1  # with footprint_padding
_INSCRIBED, _INFLATION, _DECAY = _HALF_WIDTH, 0.30, 10.0
_LETHAL = 253.0
_NEUTRAL, _COST_FACTOR = 50.0, 0.8  # navfn's
_CELL = 0.05
_MARGIN = 3.0
_VIEW = 4.0


class Dwa:
    """The baseline; see `edge_robot.sim.flat.interface.Planner`.

    Args:
        seed: Unused: there is nothing random in it.
    """

    def __init__(self, seed: int = 0) -> None:
        del seed
        self._costmap = Costmap(CostmapConfig(mark_range=_MARK_RANGE), ("scan",))
        self._planned = self._acted = -np.inf
        self._command = (0.0, 0.0)
        self._guide: tuple[Grid, Grid] | None = None
        self._escaping_from: State | None = None
        self._turning: tuple[float, State] | None = None

    def step(
        self, time: float, scan: Scan, odometry: Odometry, goal: tuple[float, float]
    ) -> tuple[float, float]:
        """Return the command, renewed 20 times a second."""
        if time - self._acted < _PERIOD - 1e-6:
            return self._command
        self._acted = time
        x = odometry.x + scan.mount_x * cos(odometry.yaw)
        y = odometry.y + scan.mount_x * sin(odometry.yaw)
        seen = RangeScan(x, y, odometry.yaw, scan.angles, scan.ranges)
        self._costmap.integrate("scan", seen, MovingObjects.none())
        state = State(odometry.x, odometry.y, odometry.yaw, odometry.v, odometry.w)
        if time - self._planned > _REPLAN - 1e-6:
            self._planned = time
            self._guide = _guide(self._costmap, state, goal)
        self._command = self._decide(state)
        return self._command

    def _decide(self, state: State) -> tuple[float, float]:
        if self._guide is None:
            return 0.0, _LEAST_TURN_IN_PLACE  # as its recovery: turn, and look again
        if self._escaping_from is not None:
            start = self._escaping_from
            if hypot(state.x - start.x, state.y - start.y) < _ESCAPE_DISTANCE:
                return _ESCAPE_SPEED, 0.0
            self._escaping_from = None
        v, w = _samples(state, self._allowed_turn(state))
        cost = _score(v, w, state, self._guide, self._costmap)
        best = int(np.argmin(cost))
        if not np.isfinite(cost[best]):
            self._escaping_from = state
            return _ESCAPE_SPEED, 0.0
        if v[best] == 0.0:
            self._turning = (float(np.sign(w[best])), state)
        return float(v[best]), float(w[best])

    def _allowed_turn(self, state: State) -> float:
        """Return the only direction to turn on the spot in, 0 if any: no swinging to and fro."""
        if self._turning is not None:
            side, start = self._turning
            if hypot(state.x - start.x, state.y - start.y) < _OSCILLATION_DISTANCE:
                return side
            self._turning = None
        return 0.0


def _samples(state: State, only_turn: float) -> tuple[Array, Array]:
    """Return forward velocities and yaw rates of the window, each (n,)."""
    low = max(-_MOST_TURN, state.w - _TURN_WINDOW)
    high = min(_MOST_TURN, state.w + _TURN_WINDOW)
    v, w = np.meshgrid(_SPEEDS, np.append(np.linspace(low, high, _TURNS), 0.0))
    spot = np.linspace(-_MOST_TURN, _MOST_TURN, _TURNS)
    spot = spot[(np.abs(spot) >= _LEAST_TURN_IN_PLACE) & (spot * only_turn >= 0.0)]
    return np.append(v, np.zeros_like(spot)), np.append(w, spot)


def _score(v: Array, w: Array, state: State, guide: tuple[Grid, Grid], costmap: Costmap) -> Array:
    """Return the cost of each arc, (n,); infinite where its outline meets an obstacle."""
    to_go, off_path = guide
    distance = costmap.distance_field(state.x, state.y, _VIEW)
    yaw = state.yaw + w[:, None] * _TIMES
    turn = yaw - 0.5 * w[:, None] * _TIMES
    # The chord of an arc of angle wt is vt sin(wt/2)/(wt/2), along the heading halfway.
    chord = v[:, None] * _TIMES * np.sinc(0.5 * w[:, None] * _TIMES / pi)
    x, y = state.x + chord * np.cos(turn), state.y + chord * np.sin(turn)
    c, s = np.cos(yaw)[..., None], np.sin(yaw)[..., None]
    outline_x = x[..., None] + _OUTLINE[:, 0] * c - _OUTLINE[:, 1] * s
    outline_y = y[..., None] + _OUTLINE[:, 0] * s + _OUTLINE[:, 1] * c
    near = distance.at(outline_x, outline_y).min(axis=(1, 2))
    obstacle = _inflated(near)
    end_x, end_y = x[:, -1], y[:, -1]
    cost = (
        _GOAL_SCALE * to_go.at(end_x, end_y)
        + _PATH_SCALE * off_path.at(end_x, end_y)
        + _OBSTACLE_SCALE * obstacle
    )
    # Turns on the spot end in the same place: the better one looks to where it is less far.
    ahead = to_go.at(end_x + _LOOK_AHEAD * c[:, -1, 0], end_y + _LOOK_AHEAD * s[:, -1, 0])
    cost += np.where(v == 0.0, 1e-3 * ahead, 0.0)
    return np.where(near <= 0.0, np.inf, cost)


def _inflated(distance: NDArray) -> NDArray:
    """Return the costs of `costmap_2d`'s inflation layer at distances from obstacles, m."""
    falling = (_LETHAL - 1.0) * np.exp(-_DECAY * (distance - _INSCRIBED))
    outside = np.where(distance < _INFLATION, falling, 0.0)
    return np.where(distance < _INSCRIBED, _LETHAL, outside)


def _outline() -> Array:
    """Return points along the padded footprint's edge, (n, 2), m."""
    along = np.linspace(-_HALF_LENGTH, _HALF_LENGTH, 9)
    across = np.linspace(-_HALF_WIDTH, _HALF_WIDTH, 8)[1:-1]
    sides = [(x, y) for y in (-_HALF_WIDTH, _HALF_WIDTH) for x in along]
    ends = [(x, y) for x in (-_HALF_LENGTH, _HALF_LENGTH) for y in across]
    return np.array(sides + ends)


_OUTLINE = _outline()


def _guide(costmap: Costmap, state: State, goal: tuple[float, float]) -> tuple[Grid, Grid] | None:
    """Return the distance to go and the distance to the path, as grids; None without a path.

    Both in m; to go from where nothing leads on it is far, but finite.
    """
    grid = costmap.grid
    low = np.floor((np.minimum((state.x, state.y), goal) - _MARGIN) / _CELL) * _CELL
    high = np.maximum((state.x, state.y), goal) + _MARGIN
    columns, rows = np.ceil((high - low) / _CELL).astype(int).tolist()
    occupied = np.zeros((rows, columns), bool)
    row, column = np.nonzero(grid.values > 0)
    row = ((row + 0.5) * grid.resolution + grid.origin[1] - low[1]) // _CELL
    column = ((column + 0.5) * grid.resolution + grid.origin[0] - low[0]) // _CELL
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    occupied[row[inside].astype(int), column[inside].astype(int)] = True
    away = cv2.distanceTransform((~occupied).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    here = Grid(occupied, (float(low[0]), float(low[1])), _CELL)
    start_cell, goal_cell = (
        int(r[0]) * columns + int(c[0])
        for r, c in (
            here.cells(np.array([x]), np.array([y])) for x, y in ((state.x, state.y), goal)
        )
    )
    inflated = _inflated(away * _CELL)
    passing = (_NEUTRAL + _COST_FACTOR * inflated) / _NEUTRAL
    passing[inflated >= _LETHAL] = np.inf
    passing.ravel()[[start_cell, goal_cell]] = 1.0
    cost, before = dijkstra(
        _graph(passing), directed=False, indices=goal_cell, return_predecessors=True
    )
    if not np.isfinite(cost[start_cell]):
        return None
    off_path = np.ones((rows, columns), np.uint8)
    cell = start_cell
    while cell >= 0:
        off_path.ravel()[cell] = 0
        cell = int(before[cell])
    beside = cv2.distanceTransform(off_path, cv2.DIST_L2, cv2.DIST_MASK_5) * _CELL
    to_go = np.minimum(cost.reshape(rows, columns), cost[start_cell] + 2 * _VIEW)
    return Grid(to_go, here.origin, _CELL), Grid(beside, here.origin, _CELL)


def _graph(passing: NDArray) -> csr_matrix:
    """Return the 8-connected cells as a graph of costs, m."""
    index = np.arange(passing.size).reshape(passing.shape)
    parts = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        height, width = passing.shape
        first = np.s_[: height - down, max(0, -right) : width - max(0, right)]
        second = np.s_[down:, max(0, right) : width + min(0, right)]
        cost = 0.5 * (passing[first] + passing[second]) * _CELL * hypot(down, right)
        free = np.isfinite(cost)
        parts.append((cost[free], index[first][free], index[second][free]))
    costs, first_cells, second_cells = (np.concatenate(part) for part in zip(*parts, strict=True))
    return csr_matrix((costs, (first_cells, second_cells)), (passing.size, passing.size))
