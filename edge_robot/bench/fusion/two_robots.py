"""Two robots that watch one person and tell each other: who becomes surer than they may.

Estimates are judged by their NEES (Bar-Shalom, Li, Kirubarajan: Estimation with Applications, 5.4):
the squared error in units of the claimed covariance, whose mean over Monte Carlo runs is the number
of states for an honest filter, more for an overconfident one, less for a cautious one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import chi2

from edge_robot.bench.figures import percentiles
from edge_robot.fusion import kalman
from edge_robot.fusion.config import PERSON, TrackerConfig
from edge_robot.fusion.intersection import intersection_weight
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import LidarMeasurement, PeerMeasurement
from edge_robot.fusion.peers import OWN, Peer, placed
from edge_robot.fusion.tracker import Tracker

RUNS = 300
STEPS = 150
PERIOD = 0.1  # s, between two measurements of one robot; the other measures half-way
ACCELERATION = 0.4  # power spectral density of the person's, m²/s³
_STATES = 4  # x, y, vx, vy
_SIGMA = np.array([[0.05, 0.4], [0.4, 0.05]])  # m; one robot sees x well, the other y
_SETTLED = 20  # steps after which figures count
_BLIND = (6.0, 9.0)  # s; when a shelf hides the person from the first robot
ENCOUNTERS = 5
_LIDAR_NOISE = 0.05  # m, as the tracker expects
_LIDAR = np.array([0.0, 0.0, 0.55])  # m
_SHIFT = np.array([1.5, 0.0, 0.0])  # m; by which a liar moves what it sees

Fuse = Callable[[Array, Array, Array, Array], tuple[Array, Array]]


def measure(progress: Callable[[str], None]) -> dict[str, Any]:
    """Return NEES and error of one robot alone, of naive fusion and of covariance intersection.

    Args:
        progress: Told what is measured.
    """
    progress(f"fusion-peers: {RUNS} persons walk past two robots")
    figures: dict[str, Any] = {
        "runs": RUNS,
        "nees_of_an_honest_filter": _STATES,
        "nees_bounds_95": [round(b, 3) for b in _bounds(RUNS)],
        "both_see": {name: walks(fuse) for name, fuse in WAYS.items()},
    }
    progress("fusion-peers: nobody sees the person any more, and both keep telling each other")
    figures["rumour"] = {name: walks(fuse, silent_after=STEPS // 3) for name, fuse in WAYS.items()}
    progress("fusion-peers: trackers, an occlusion, and a liar")
    figures["trackers"] = {
        "alone": _trackers(None),
        "with_peer": _trackers(np.zeros(3)),
        "with_liar": _trackers(_SHIFT),
    }
    figures["message_of_50_tracks"] = _cost()
    return figures


def intersect(mean: Array, covariance: Array, told: Array, spread: Array) -> tuple[Array, Array]:
    """Return the covariance intersection of estimates, (..., n) and (..., n, n) each."""
    weight = intersection_weight(covariance, spread)[..., None, None]
    eye = np.eye(mean.shape[-1])
    fused, left, _ = kalman.update(
        mean, covariance / weight, told - mean, eye, spread / (1.0 - weight)
    )
    return fused, left


def _naive(mean: Array, covariance: Array, told: Array, spread: Array) -> tuple[Array, Array]:
    eye = np.eye(mean.shape[-1])
    return kalman.update(mean, covariance, told - mean, eye, spread)[:2]


def _keep(mean: Array, covariance: Array, told: Array, spread: Array) -> tuple[Array, Array]:
    del told, spread
    return mean, covariance


WAYS: dict[str, Fuse] = {"alone": _keep, "naive": _naive, "intersection": intersect}
"""What a robot may do with what it is told."""


def _bounds(runs: int) -> tuple[float, float]:
    low, high = chi2.ppf([0.025, 0.975], runs * _STATES) / runs
    return float(low), float(high)


def walks(fuse: Fuse, silent_after: int = STEPS, runs: int = RUNS) -> dict[str, Any]:
    """Return the figures of one robot of two, over all runs at once.

    The person moves as the filters expect: what is seen of overconfidence is the fusion's alone.
    After `silent_after` steps nobody measures any more, but they go on telling each other.
    """
    rng = np.random.default_rng(0)
    half = PERIOD / 2.0
    transition = np.eye(_STATES) + half * np.eye(_STATES, k=2)
    block = np.array([[half**3 / 3, half**2 / 2], [half**2 / 2, half]])
    noise = ACCELERATION * np.kron(block, np.eye(2))
    root = np.linalg.cholesky(noise)
    observation = np.eye(2, _STATES)
    truth = rng.normal(0.0, 1.0, (runs, _STATES))
    means = np.zeros((2, runs, _STATES))
    covariances = np.tile(np.eye(_STATES), (2, runs, 1, 1))
    nees, squares, claimed = [], [], []
    for step in range(2 * STEPS):
        truth = truth @ transition.T + rng.normal(size=truth.shape) @ root.T
        for robot in range(2):
            means[robot], covariances[robot] = kalman.predict(
                means[robot], covariances[robot], transition, noise
            )
        me, you = step % 2, 1 - step % 2
        seen = truth[:, :2] + rng.normal(0.0, _SIGMA[me], (runs, 2))
        if step < 2 * silent_after:
            means[me], covariances[me], _ = kalman.update(
                means[me],
                covariances[me],
                seen - means[me][:, :2],
                observation,
                np.diag(_SIGMA[me] ** 2),
            )
        means[you], covariances[you] = fuse(
            means[you], covariances[you], means[me], covariances[me]
        )
        if step >= 2 * max(_SETTLED, silent_after % STEPS) and you == 0:
            error = truth - means[0]
            nees.append(kalman.squared_distance(error, covariances[0]).mean())
            squares.append((error[:, :2] ** 2).sum(axis=1).mean())
            claimed.append(np.trace(covariances[0][:, :2, :2], axis1=1, axis2=2).mean())
    return {
        "nees": round(float(np.mean(nees)), 3),
        "share_of_time_overconfident": round(float(np.mean(np.array(nees) > _bounds(runs)[1])), 3),
        "position_rmse_m": round(float(np.sqrt(np.mean(squares))), 3),
        "position_rmse_claimed_m": round(float(np.sqrt(np.mean(claimed))), 3),
    }


def _trackers(shift: Array | None) -> dict[str, Any]:
    """Return how well a tracker follows a person whom a shelf hides for a while.

    Args:
        shift: (3,) by which the peer moves what it tells, m; None for no peer.
    """
    steps = [step for seed in range(ENCOUNTERS) for step in _encounter(shift, seed)]
    found = [step for step in steps if step[0] is not None]
    return {
        "share_of_time_followed": round(len(found) / len(steps), 3),
        "position_rmse_m": round(float(np.sqrt(np.mean([step[0] ** 2 for step in found]))), 3),
        "position_nees": round(float(np.mean([step[1] for step in found])), 3),
        "trust_at_the_end": round(steps[-1][2], 3),
    }


def _encounter(shift: Array | None, seed: int) -> Iterator[tuple[Any, Any, float]]:
    """Yield how a tracker does that hears from a peer, and the peer from it.

    One person walks; a second one stands where both robots see it: by that trust is earned.

    Yields:
        Error of the walker's position, m, its NEES (both None while it is not followed; of an
        honest filter it is 2), and trust in the peer.
    """
    config = TrackerConfig()
    here, there = Tracker(config), Tracker(config)
    peer = Peer("there", config.peers, here.admission)
    back = Peer("here", config.peers, there.admission)
    rng = np.random.default_rng(seed)
    for step in range(2 * STEPS):
        t = step * PERIOD / 2.0
        walker = np.array([4.0 + 1.5 * np.cos(0.6 * t), 1.5 * np.sin(0.6 * t)])
        people = np.array([walker, (3.0, 4.0)])
        stamp = 1_000_000_000 + round(t * 1e9)
        if step % 2:
            there.process(_sweep(stamp, people, rng))
            if shift is not None:
                _hear(here, peer, there, shift)
            continue
        hidden = _BLIND[0] <= t < _BLIND[1]
        here.process(_sweep(stamp, people[1:] if hidden else people, rng))
        if shift is not None:
            _hear(there, back, here, np.zeros(3))
        if t > _SETTLED * PERIOD:
            yield (*_judged(here, walker), peer.trust)


def _hear(here: Tracker, peer: Peer, there: Tracker, shift: Array) -> None:
    """Let a tracker hear what a peer follows, which the peer moves by `shift`."""
    config = here.config.peers
    told = placed(tell(there, peer.sensor), np.eye(4), config)
    told = replace(told, positions=told.positions + shift)
    admitted = peer.admit(told, here.tracks(), here.stamp or 0, _LIDAR)
    if admitted is not None:
        here.process(admitted)


def _judged(tracker: Tracker, place: Array) -> tuple[float | None, float | None]:
    """Return error and NEES of what a tracker has nearest to a place; None if nothing is near."""
    errors = [(track.position[:2] - place, track.covariance[:2, :2]) for track in tracker.tracks()]
    near = [(np.hypot(*error), error, spread) for error, spread in errors if error @ error < 1.0]
    if not near:
        return None, None
    distance, error, spread = min(near, key=lambda row: float(row[0]))
    return float(distance), float(kalman.squared_distance(error, spread))


def _sweep(stamp: int, people: Array, rng: np.random.Generator) -> LidarMeasurement:
    count = len(people)
    return LidarMeasurement(
        stamp=stamp,
        centers=np.column_stack(
            [
                people + rng.normal(0.0, _LIDAR_NOISE, people.shape),
                np.full(count, PERSON.height / 2),
            ]
        ),
        sizes=np.tile([PERSON.length, PERSON.width, PERSON.height], (count, 1)),
        yaws=np.zeros(count),
        scores=np.full(count, 0.8),
        fixed_from_sensor=np.eye(4),
    )


def tell(tracker: Tracker, name: str = "there") -> PeerMeasurement:
    """Return what a robot's tracker tells a peer, in its own frame."""
    tracks = tracker.tracks()
    return PeerMeasurement(
        stamp=tracker.stamp or 0,
        positions=np.array([t.position for t in tracks]).reshape(-1, 3),
        sizes=np.array([t.size for t in tracks]).reshape(-1, 3),
        yaws=np.array([t.yaw for t in tracks], float),
        velocities=np.array([t.velocity for t in tracks]).reshape(-1, 2),
        covariances=np.array([t.covariance for t in tracks]).reshape(-1, 4, 4),
        scores=np.array([t.existence for t in tracks], float),
        labels=[t.class_name for t in tracks],
        label_scores=np.array([t.class_score for t in tracks], float),
        first_hand=np.array([bool(t.recent_sources & OWN) for t in tracks], bool),
        sensor=name,
    )


def _cost() -> dict[str, float]:
    """Return the time to apply 50 tracks of a peer to the same 50 tracks."""
    rng = np.random.default_rng(0)
    here, config = Tracker(), TrackerConfig()
    people = 3.0 * np.array([(a, b) for a in range(10) for b in range(5)], float) + 1.0
    for step in range(5):
        here.process(_sweep(1_000_000_000 + step * 100_000_000, people, rng))
    told = placed(tell(here), np.eye(4), config.peers)
    durations = []
    for step in range(200):
        message = replace(told, stamp=told.stamp + (step + 1) * 20_000_000)
        start = time.perf_counter()
        here.process(message)
        durations.append(time.perf_counter() - start)
    return percentiles(durations)
