"""The filters of all tracks at once beside filterpy's one by one: same steps, same results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from edge_robot.bench.figures import percentiles
from edge_robot.errors import UserError
from edge_robot.fusion import kalman
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.motion import MotionModel
from edge_robot.fusion.motion.single import planar_integrators

TRACKS = (1, 10, 100, 1000)
STEPS = 30  # in a row, so that neither pays for the other's use of the caches
ROUNDS = 5  # of which each takes its turn
MAX_PEER_IMM = 100  # tracks; filterpy's estimator takes half a second for a step of 1000
STATES, MEASURED = 10, 7  # a 3D box with its velocity, of which the box is measured
PERIOD = 0.1  # s
MOTION_MODELS = (("still", "constant_velocity"), ("still", "constant_velocity", "constant_turn"))

Step = Callable[[], tuple[Array, Array]]
"""Does one prediction and one update of every track; returns their means and covariances."""


def measure(progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the CPU time of one prediction and one update of all tracks, here and in filterpy.

    Both work on the same numbers in turn, so what else the machine does is the same for both.

    Args:
        progress: Told what is measured.

    Raises:
        UserError: filterpy is not installed.
    """
    try:
        from filterpy import kalman as filterpy
    except ImportError as error:
        raise UserError(
            "bench filter compares with filterpy, which is not installed; "
            "get it with: pip install 'edge_robot[test]'"
        ) from error
    progress(f"filter: {STATES} states, {MEASURED} measured")
    figures: dict[str, Any] = {
        f"kalman_{STATES}_states_{MEASURED}_measured": _by_tracks(
            _kalman,
            {
                "filterpy": partial(_filterpy_kalman, filterpy, likelihood=False),
                # What ours tells with each update, filterpy works out when asked.
                "filterpy_with_likelihood": partial(_filterpy_kalman, filterpy, likelihood=True),
            },
            TRACKS[-1],
        )
    }
    for models in MOTION_MODELS:
        progress(f"filter: IMM of {', '.join(models)}")
        # filterpy's estimator runs linear filters.
        most = 0 if "constant_turn" in models else MAX_PEER_IMM
        figures["imm_" + "_".join(models)] = _by_tracks(
            partial(_imm, models), {"filterpy": partial(_filterpy_imm, filterpy)}, most
        )
    return figures


def _by_tracks(
    ours: Callable[[int], Step], theirs: Mapping[str, Callable[[int], Step]], most: int
) -> dict[str, Any]:
    """Return the figures of each number of tracks; theirs of `most` at the most."""
    figures: dict[str, Any] = {}
    for count in TRACKS:
        peers = theirs if count <= most else {}
        steps = {name: make(count) for name, make in {"here": ours, **peers}.items()}
        results = {name: step() for name, step in steps.items()}
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, step in steps.items():
                start = time.process_time()
                for _ in range(STEPS):
                    results[name] = step()
                times[name].append((time.process_time() - start) / STEPS)
        found: dict[str, Any] = {name: percentiles(durations) for name, durations in times.items()}
        medians = {name: float(np.median(durations)) for name, durations in times.items()}
        found["us_per_track"] = round(medians["here"] / count * 1e6, 2)
        found["times_faster_than"] = {
            name: round(medians[name] / medians["here"], 1) for name in peers
        }
        found["largest_difference"] = max(
            (
                float(np.abs(a - b).max())
                for name in peers
                for a, b in zip(results["here"], results[name], strict=True)
            ),
            default=None,
        )
        figures[f"tracks_{count}"] = found
    return figures


def _problem(count: int) -> tuple[Array, ...]:
    """Return F, Q and R of boxes that move at constant velocity, and a measurement of each."""
    transition = np.eye(STATES)
    transition[[0, 1, 2], [7, 8, 9]] = PERIOD
    measured = np.random.default_rng(0).normal(size=(count, MEASURED))
    return transition, 0.01 * np.eye(STATES), 0.1 * np.eye(MEASURED), measured


def _kalman(count: int) -> Step:
    transition, process, noise, measured = _problem(count)
    mean, covariance = np.zeros((count, STATES)), np.tile(10.0 * np.eye(STATES), (count, 1, 1))

    def step() -> tuple[Array, Array]:
        nonlocal mean, covariance
        mean, covariance = kalman.predict(mean, covariance, transition, process)
        innovation = measured - mean[:, :MEASURED]
        mean, covariance, _ = kalman.update(mean, covariance, innovation, None, noise)
        return mean, covariance

    return step


def _filterpy_kalman(filterpy: ModuleType, count: int, likelihood: bool) -> Step:
    transition, process, noise, measured = _problem(count)
    filters = []
    for _ in range(count):
        one = filterpy.KalmanFilter(dim_x=STATES, dim_z=MEASURED)
        one.F, one.Q, one.R = transition, process, noise
        one.H = np.eye(MEASURED, STATES)
        one.x, one.P = np.zeros(STATES), 10.0 * np.eye(STATES)
        filters.append(one)

    def step() -> tuple[Array, Array]:
        for one, z in zip(filters, measured, strict=True):
            one.predict()
            one.update(z)
            if likelihood:
                _ = one.log_likelihood
        return np.array([one.x for one in filters]), np.array([one.P for one in filters])

    return step


def _positions(count: int) -> tuple[Array, Array]:
    """Return where tracks are measured again and again, and with what noise."""
    return np.random.default_rng(0).normal(0.0, 0.1, (count, 2)), 0.01 * np.eye(2)


def _imm(models: tuple[str, ...], count: int) -> Step:
    model = MotionModel(motion_models=models)
    measured, noise = _positions(count)
    state = model.start(np.zeros((count, 2)), np.tile(noise, (count, 1, 1)))

    def step() -> tuple[Array, Array]:
        nonlocal state
        mean, covariance, modes = model.predict(*state, PERIOD)
        innovation = measured[:, None] - mean[..., :2]
        state = model.update(mean, covariance, modes, innovation, None, noise[None])
        return state[0], state[1]

    return step


def _filterpy_imm(filterpy: ModuleType, count: int) -> Step:
    """Return the step of as many estimators of what stands or moves at constant velocity."""
    model = MotionModel()
    measured, noise = _positions(count)
    mean, covariance, modes = model.start(np.zeros((count, 2)), np.tile(noise, (count, 1, 1)))
    transition, process = planar_integrators(2, PERIOD)
    start = model.start_speed**2
    creep = model.still_drift**2 * PERIOD
    matrices = [
        (np.diag([1.0, 1.0, 0.0, 0.0]), np.diag([creep, creep, start, start])),
        (transition, model.acceleration_noise * process),
    ]
    estimators = []
    for n in range(count):
        filters = []
        for j, (f, q) in enumerate(matrices):
            one = filterpy.KalmanFilter(dim_x=4, dim_z=2)
            one.F, one.Q, one.H, one.R = f, q, np.eye(2, 4), noise
            one.x, one.P = mean[n, j], covariance[n, j]
            filters.append(one)
        estimators.append(
            filterpy.IMMEstimator(filters, modes[n], model.transition_probabilities(PERIOD))
        )

    def step() -> tuple[Array, Array]:
        for estimator, z in zip(estimators, measured, strict=True):
            estimator.predict()
            estimator.update(z)
        return (
            np.array([[one.x for one in each.filters] for each in estimators]),
            np.array([[one.P for one in each.filters] for each in estimators]),
        )

    return step
