"""Scores tracks against the truth of recorded drives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import chi2, norm, sem, t

from edge_robot.bench.fusion.world import Drive, Truth
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import Source
from edge_robot.fusion.scoring.ospa import distances, ospa
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track
from edge_robot.sim.layout import Footprint

Array = NDArray[np.float64]

CUTOFF = 1.0  # m; a track further from a person than this is of something else
ORDER = 1.0
NEAR, FAR = 1.0, 10.0  # m; nearer people stick out of the image, further ones are small
HALF_VIEW = np.radians(37.0)  # where camera and lidar both see the whole of a person
VISIBLE = 0.5  # share of a body from which a person must be tracked
WARM_UP = 1.0  # s
_CONFIDENCE = 0.95
_PERSON_SIZE = (1.2, 1.2, 2.05)  # m, largest length and least and largest height of a person's box

_AROUND = 0.2  # m; a track this close around a thing's outline is of it
_MOVES = 0.3  # m/s; from this speed the planner takes a track to move

Key = tuple[int, int, int]
"""Seed, stamp, and number of the person or thing that a track was compared with."""


@dataclass
class Pairs:
    """Tracks beside what they are of.

    Attributes:
        errors: Track minus truth, x y vx vy, m and m/s.
        covariances: The tracks' own, (4, 4).
        identities: Of the tracks.
    """

    errors: dict[Key, Array] = field(default_factory=dict)
    covariances: dict[Key, Array] = field(default_factory=dict)
    identities: dict[Key, int] = field(default_factory=dict)

    def add(self, key: Key, state: Array, covariance: Array, truth: Array, identity: int) -> None:
        """Add a track, with the truth of its state."""
        self.errors[key] = state - truth
        self.covariances[key] = covariance
        self.identities[key] = identity


@dataclass
class Scores:
    """What one set of sensors made of the drives.

    Attributes:
        ospa: Distance, localisation and cardinality at each scored instant, m; by seed and stamp.
        people: Tracks of people.
        things: Tracks of boxes, pallets and forklifts.
        missed: People without a track, summed over instants.
        false: Tracks without a person, likewise.
        wanted: People who were to be tracked, likewise.
    """

    ospa: dict[tuple[int, int], tuple[float, float, float]] = field(default_factory=dict)
    people: Pairs = field(default_factory=Pairs)
    things: Pairs = field(default_factory=Pairs)
    missed: int = 0
    false: int = 0
    wanted: int = 0


def score(drives: Iterable[Drive], sources: Source, config: TrackerConfig) -> Scores:
    """Run a tracker on what some sensors gave and compare its tracks with the truth.

    At each capture of camera or lidar, whether its sensor takes part or not, the tracks are those
    of the measurements that have arrived, moved on to that instant with their velocity, as the
    planner does.
    """
    scores = Scores()
    for drive in drives:
        tracker, waiting = Tracker(config), iter(drive.arrivals)
        arrival = next(waiting, None)
        for truth in drive.truths:
            while arrival is not None and arrival.due <= truth.stamp:
                if arrival.measurement.source & sources:
                    tracker.process(arrival.measurement)
                arrival = next(waiting, None)
            if truth.stamp >= drive.truths[0].stamp + WARM_UP * 1e9:
                ahead = (truth.stamp - (tracker.stamp or truth.stamp)) * 1e-9
                estimates = [_Estimate.of(track, ahead) for track in tracker.tracks()]
                named = sources != Source.LIDAR
                people = [one for one in estimates if _is_person(one.track, named)]
                _compare_people(scores, drive.seed, truth, people)
                others = [one for one in estimates if one.track.class_name != "person"]
                _compare_things(scores, drive, truth, others)
    return scores


@dataclass(frozen=True)
class _Estimate:
    """A track, moved on with its velocity."""

    track: Track
    state: Array
    covariance: Array

    @classmethod
    def of(cls, track: Track, seconds: float) -> _Estimate:
        step = np.eye(4)
        step[0, 2] = step[1, 3] = seconds
        state = step @ [*track.position[:2], *track.velocity]
        return cls(track, state, step @ track.covariance @ step.T)


def _compare_people(
    scores: Scores, seed: int, truth: Truth, estimates: Sequence[_Estimate]
) -> None:
    states = np.array([one.state for one in estimates]).reshape(-1, 4)
    people, owners = _pairs(truth.position, states[:, :2])
    wanted = _in_region(truth, truth.position) & (truth.visible >= VISIBLE)

    stray = np.ones(len(estimates), bool)
    stray[owners] = False
    stray &= _in_region(truth, states[:, :2])
    for person, owner in zip(people.tolist(), owners.tolist(), strict=True):
        if wanted[person]:
            state = np.array([*truth.position[person], *truth.velocity[person]])
            one = estimates[owner]
            key = (seed, truth.stamp, person)
            scores.people.add(key, one.state, one.covariance, state, one.track.id)
    kept = np.concatenate([owners[wanted[people]], np.flatnonzero(stray)])
    found = ospa(truth.position[wanted], states[kept, :2], cutoff=CUTOFF, order=ORDER)
    scores.ospa[seed, truth.stamp] = found.distance, found.localisation, found.cardinality
    scores.wanted += int(wanted.sum())
    scores.missed += int(wanted.sum() - wanted[people].sum())
    scores.false += int(stray.sum())


def _compare_things(
    scores: Scores, drive: Drive, truth: Truth, estimates: Sequence[_Estimate]
) -> None:
    """Compare with each thing the track nearest to its centre, of those on it."""
    states = np.array([one.state for one in estimates]).reshape(-1, 4)
    if not len(states):
        return
    for thing in np.flatnonzero(_in_region(truth, truth.things[:, :2])).tolist():
        center = truth.things[thing, :2]
        outline = Footprint("", "thing", *truth.things[thing], *drive.sizes[thing])
        gap = outline.distance(states[:, :2])
        away = np.where(gap <= _AROUND, np.hypot(*(states[:, :2] - center).T), np.inf)
        if np.isfinite(away).any():
            one = estimates[int(away.argmin())]
            key = (drive.seed, truth.stamp, thing)
            standing = np.array([*center, 0.0, 0.0])
            scores.things.add(key, one.state, one.covariance, standing, one.track.id)


def _pairs(people: Array, tracks: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return who has which track by the assignment that OSPA makes, of those nearer than CUTOFF."""
    apart = distances(people, tracks)
    rows, columns = linear_sum_assignment(np.minimum(apart, CUTOFF))
    near = apart[rows, columns] < CUTOFF
    return rows[near], columns[near]


def _is_person(track: Track, named: bool) -> bool:
    """Whether a track says that it is a person; a lidar alone only tells that it has their size."""
    if named:
        return track.class_name == "person"
    longest, least, most = _PERSON_SIZE
    return bool(track.size[:2].max() <= longest and least <= track.size[2] <= most)


def _in_region(truth: Truth, places: Array) -> NDArray[np.bool_]:
    """Return which places are where camera and lidar both should see a person, (N,)."""
    away = places - (truth.robot.x, truth.robot.y)
    distance = np.hypot(away[:, 0], away[:, 1])
    bearing = np.arctan2(away[:, 1], away[:, 0]) - truth.robot.yaw
    bearing = np.abs((bearing + np.pi) % (2 * np.pi) - np.pi)
    return np.asarray((distance >= NEAR) & (distance <= FAR) & (bearing <= HALF_VIEW))


def figures(scores: Scores, common: set[Key]) -> dict[str, Any]:
    """Return the figures of one set of sensors.

    Args:
        scores: Of these sensors.
        common: The people and instants that every set of sensors has a track of, to compare
            errors where all have some.
    """
    distance, localisation, cardinality = np.mean(list(scores.ospa.values()), axis=0)
    people, things = scores.people, scores.things
    return {
        "ospa_m": round(float(distance), 3),
        "ospa_localisation_m": round(float(localisation), 3),
        "ospa_cardinality_m": round(float(cardinality), 3),
        "wanted": scores.wanted,
        "missed": scores.missed,
        "false": scores.false,
        "identity_switches": _switches(people),
        "rmse": _rmse(people, people.errors),
        "rmse_where_all_track": _rmse(people, common),
        "nees_of_position": consistency(people, (0, 1)),
        "nees_of_position_and_velocity": consistency(people, (0, 1, 2, 3)),
        "things": {
            **_rmse(things, things.errors),
            "said_to_move": _share_moving(things),
            "nees_of_position": consistency(things, (0, 1)),
        },
    }


def change(more: Scores, fewer: Scores) -> dict[str, Any]:
    """Return what more sensors change: mean differences at the same instants, in m and m/s.

    Errors are compared of the people whom both track. What is below 0 is better; where 0 lies
    within the bounds, 95 %, the drives do not tell. They are those of the normal distribution for
    as many samples as are independent, as in `consistency`; people of one instant count as such.
    `ospa_by_drive_m` takes nothing but drives as independent: Student's bounds of their means.
    """
    both = sorted(more.people.errors.keys() & fewer.people.errors.keys())
    lengths = [
        np.array([[np.hypot(*e[:2]), np.hypot(*e[2:])] for e in (errors[key] for key in both)])
        for errors in (more.people.errors, fewer.people.errors)
    ]
    off = (lengths[0] - lengths[1]).reshape(-1, 2)
    instants = sorted(more.ospa.keys() & fewer.ospa.keys())
    distance = np.array([more.ospa[key][0] - fewer.ospa[key][0] for key in instants])
    return {
        "ospa_m": _mean(instants, distance),
        "ospa_by_drive_m": _mean_of_drives(instants, distance),
        "position_error_m": _mean(both, off[:, 0]),
        "velocity_error_m_per_s": _mean(both, off[:, 1]),
    }


def _mean(keys: Sequence[tuple[int, ...]], values: Array) -> dict[str, float] | None:
    """Return the mean of values by key and its 95 % bounds; None without any."""
    if not len(values):
        return None
    independent = len(values) / autocorrelation_time(_series(keys, values))
    half = norm.ppf((1.0 + _CONFIDENCE) / 2.0) * values.std() / np.sqrt(independent)
    return _bounded(values.mean(), half)


def _bounded(mean: float, half: float) -> dict[str, float]:
    return {
        "mean": round(float(mean), 4),
        "low_95": round(float(mean - half), 4),
        "high_95": round(float(mean + half), 4),
    }


def _mean_of_drives(keys: Sequence[tuple[int, int]], values: Array) -> dict[str, float] | None:
    """Return the mean over drives, its 95 % bounds, and in how many it is below 0 and above.

    Args:
        keys: Seed and stamp of each value.
        values: [n].
    """
    seeds = np.array([seed for seed, _ in keys])
    means = np.array([values[seeds == seed].mean() for seed in np.unique(seeds)])
    if len(means) < 2:
        return None
    half = t.ppf((1.0 + _CONFIDENCE) / 2.0, len(means) - 1) * sem(means)
    return {
        **_bounded(means.mean(), half),
        "drives_below": int(np.sum(means < 0.0)),
        "drives_above": int(np.sum(means > 0.0)),
    }


def _series(keys: Sequence[tuple[int, ...]], values: Array) -> list[Array]:
    """Return values in order of time by seed and, where the keys have one, number."""
    found: dict[tuple[int, ...], list[float]] = defaultdict(list)
    for (seed, _, *number), value in zip(keys, values.tolist(), strict=True):
        found[(seed, *number)].append(value)
    return [np.array(each) for each in found.values()]


def _rmse(pairs: Pairs, keys: Iterable[Key]) -> dict[str, Any]:
    errors = np.array([pairs.errors[key] for key in keys]).reshape(-1, 4)
    square = errors**2
    if not len(errors):
        return {"position_m": None, "velocity_m_per_s": None, "pairs": 0}
    return {
        "position_m": round(float(np.sqrt(square[:, :2].sum(axis=1).mean())), 3),
        "velocity_m_per_s": round(float(np.sqrt(square[:, 2:].sum(axis=1).mean())), 3),
        "pairs": len(errors),
    }


def _share_moving(pairs: Pairs) -> float | None:
    speeds = [np.hypot(*error[2:]) for error in pairs.errors.values()]
    return round(float(np.mean(np.array(speeds) > _MOVES)), 3) if speeds else None


def consistency(pairs: Pairs, states: Sequence[int]) -> dict[str, Any] | None:
    """Return the average NEES of some states, and the bounds an honest filter's keeps within.

    The normalised estimation error squared is eᵀP⁻¹e; averaged over N independent samples of n
    states and times N, it is chi-squared distributed with nN degrees of freedom (Bar-Shalom, Li,
    Kirubarajan: Estimation with Applications to Tracking and Navigation, 5.4.2). Errors of one
    track persist, so samples are as many as are independent: their number divided by the
    integrated autocorrelation time of the NEES. None without any sample.
    """
    keys, index = sorted(pairs.errors), list(states)
    if not keys:
        return None
    error = np.array([pairs.errors[key] for key in keys])[:, index]
    spread = np.array([pairs.covariances[key] for key in keys])[:, index][:, :, index]
    nees = np.einsum("ni,ni->n", error, np.linalg.solve(spread, error[..., None])[..., 0])
    independent = len(nees) / autocorrelation_time(_series(keys, nees))
    degrees = len(index)
    tail = (1.0 - _CONFIDENCE) / 2.0
    low, high = chi2.ppf([tail, 1.0 - tail], degrees * independent) / independent
    return {
        "mean": round(float(nees.mean()), 2),
        "expected": degrees,
        "low_95": round(float(low), 2),
        "high_95": round(float(high), 2),
        "consistent": bool(low <= nees.mean() <= high),
        "inside_95_ellipse": round(float((nees <= chi2.ppf(_CONFIDENCE, degrees)).mean()), 3),
        "samples": len(nees),
        "independent_samples": round(float(independent), 1),
    }


def autocorrelation_time(series: Sequence[Array]) -> float:
    """Return how many successive samples say as much as one, over several series.

    The integrated autocorrelation time 1 + 2 Σ ρ(k), summed up to the first ρ(k) below zero
    (Sokal: Monte Carlo Methods in Statistical Mechanics, 3).
    """
    mean = np.concatenate(series).mean()
    centred = [values - mean for values in series]
    variance = np.concatenate(centred).var()
    if variance == 0.0:
        return 1.0
    total = 1.0
    for lag in range(1, max(map(len, series))):
        products = np.concatenate([c[lag:] * c[:-lag] for c in centred if len(c) > lag])
        if (rho := products.mean() / variance) <= 0.0:
            break
        total += 2.0 * rho
    return float(total)


def _switches(pairs: Pairs) -> int:
    last: dict[tuple[int, int], int] = {}
    switches = 0
    for seed, stamp, number in sorted(pairs.identities):
        identity = pairs.identities[seed, stamp, number]
        switches += last.get((seed, number), identity) != identity
        last[seed, number] = identity
    return switches
