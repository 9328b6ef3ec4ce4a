"""The tracks: as the tracker keeps them (arrays over all tracks), and as it hands them out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import Measurement, Source

SOURCES = (Source.CAMERA, Source.LIDAR, Source.FLEET, Source.PEER, Source.RADAR)
"""Columns of `TrackSet.seen`."""
_SUREST = 0.99
_DOUBTS, _DOUBT = 3.0, -4.0  # boxes that speak against a track before its first, log-odds of each
NEVER = np.iinfo(np.int64).min // 2

BirthKey = tuple[int, int, str, int]
"""Stamp, source, sensor and index of the box a track began with: the same however often it is
replayed."""


class Track(NamedTuple):
    """One confirmed track at one instant, in the fixed frame.

    Attributes:
        id: Stable for the life of the track, from 1.
        class_name: Most probable class; "unknown" while no camera has named it.
        class_score: Probability of `class_name`, 0..1.
        existence: Probability that the object exists, 0..1.
        score: How sure the boxes were that went around all of it (`BoxMeasurement`), as
            logarithm of odds: their mean, together with a few that speak against it, so that what
            was seen once ranks below what was seen as surely many times.
        position: (3,) centre of the box, m.
        size: (3,) length along `yaw`, width, height of what has been seen of it, m.
        yaw: Heading of the length, rad.
        velocity: (2,) m/s; zero within its covariance for what stands.
        covariance: (4, 4) of x, y, vx, vy.
        sources: Every sensor that ever updated it.
        recent_sources: Those within the last half second.
        age: Since the first measurement, s.
        coasting: Since the last measurement, s.
    """

    id: int
    class_name: str
    class_score: float
    existence: float
    score: float
    position: Array
    size: Array
    yaw: float
    velocity: Array
    covariance: Array
    sources: Source
    recent_sources: Source
    age: float
    coasting: float


@dataclass(eq=False)
class TrackSet:
    """All tracks at one instant; N tracks, C classes.

    One measurement's update has its own copy and changes it in place; nobody does after that.

    Attributes:
        keys: (N,) object, each track's `BirthKey`.
        mean: (N, J, n) state by each motion model; J and n are `MotionModel.shape`.
        covariance: (N, J, n, n).
        modes: (N, J) probability of each motion model.
        size: (N, 3) m.
        hidden: (N, 2, 2) second moment of how far the middle of what has been seen may lie from the
            middle of the whole, m²: a bias, which no number of further measurements averages out.
        yaw: (N,) rad.
        bottom: (N,) height of the box's lower face, m.
        existence: (N,) probability.
        hits: (N,) measurements so far.
        boxed: (N,) those of them that were boxes around all of it (`BoxMeasurement`).
        evidence: (N,) sum of the logarithms of the odds for it that those boxes were worth.
        moving: (N,) successive sweeps up to the last in which it more probably moved than stood;
            as many as are asked for, where fewer were as good.
        first: (N,) stamp of the first measurement, ns.
        seen: (N, 5) stamp of the last measurement of each of `SOURCES`, ns.
        lidars: (N,) frozenset of the names of the lidars that have ever seen it.
        classes: (N, C) evidence for each class, in votes.
        confirmed: (N,) whether it has ever been sure enough to publish.
    """

    keys: NDArray[np.object_]
    mean: Array
    covariance: Array
    modes: Array
    size: Array
    hidden: Array
    yaw: Array
    bottom: Array
    existence: Array
    hits: NDArray[np.int64]
    boxed: NDArray[np.int64]
    evidence: Array
    moving: NDArray[np.int64]
    first: NDArray[np.int64]
    seen: NDArray[np.int64]
    lidars: NDArray[np.object_]
    classes: Array
    confirmed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.keys)

    def copy(self) -> TrackSet:
        """Return the same tracks in arrays of their own."""
        return TrackSet(**{name: getattr(self, name).copy() for name in _COLUMNS})

    def select(self, keep: NDArray[np.bool_]) -> TrackSet:
        """Return the tracks where `keep` is true."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        return TrackSet(**{name: getattr(self, name).take(rows, axis=0) for name in _COLUMNS})

    def join(self, other: TrackSet) -> TrackSet:
        """Return these tracks followed by the other's."""
        if not len(other):
            return self
        return TrackSet(
            **{
                name: np.concatenate([getattr(self, name), getattr(other, name)])
                for name in _COLUMNS
            }
        )

    def copy_with_classes(self, count: int) -> TrackSet:
        """Return a `copy` with room for `count` classes."""
        tracks = self.copy()
        if missing := count - self.classes.shape[1]:
            tracks.classes = np.pad(self.classes, ((0, 0), (0, missing)))
        return tracks

    @property
    def last(self) -> NDArray[np.int64]:
        """Stamp of each track's last measurement, ns."""
        return np.asarray(self.seen.max(axis=1))

    @property
    def kind(self) -> NDArray[np.intp]:
        """(N,) column of each track's most probable class; −1 where nothing has named it."""
        if not self.classes.size:
            return np.full(len(self), -1, np.intp)
        return np.where(self.classes.any(axis=1), self.classes.argmax(axis=1), -1)

    @property
    def score(self) -> Array:
        """(N,) mean log-odds of the whole boxes, as `Track` has it."""
        return (self.evidence + _DOUBTS * _DOUBT) / (self.boxed + _DOUBTS)

    @staticmethod
    def born(
        measurement: Measurement,
        keys: NDArray[np.object_],
        state: tuple[Array, Array, Array],
        *,
        size: Array,
        yaw: Array,
        bottom: Array,
        existence: Array,
        classes: Array,
        hidden: Array | None = None,
    ) -> TrackSet:
        """Return tracks that a measurement begins.

        Args:
            measurement: The measurement.
            keys: (N,) of the boxes that begin a track.
            state: Mean, covariance and probabilities of the motion models.
            size: (N, 3) m.
            yaw: (N,) rad.
            bottom: (N,) m.
            existence: (N,).
            classes: (N, C).
            hidden: (N, 2, 2) m²; None: nothing is hidden.
        """
        count = len(keys)
        seen = np.full((count, len(SOURCES)), NEVER)
        seen[:, SOURCES.index(measurement.source)] = measurement.stamp
        lidars = np.full(count, frozenset(), object)
        if measurement.source is Source.LIDAR:
            lidars[:] = frozenset([measurement.sensor])
        mean, covariance, modes = state
        return TrackSet(
            keys=keys,
            mean=mean,
            covariance=covariance,
            modes=modes,
            size=size,
            hidden=np.zeros((count, 2, 2)) if hidden is None else hidden,
            yaw=yaw,
            bottom=bottom,
            existence=existence,
            hits=np.ones(count, np.int64),
            boxed=np.zeros(count, np.int64),
            evidence=np.zeros(count),
            moving=np.zeros(count, np.int64),
            first=np.full(count, measurement.stamp, np.int64),
            seen=seen,
            lidars=lidars,
            classes=classes,
            confirmed=np.zeros(count, bool),
        )

    @staticmethod
    def empty(shape: tuple[int, int]) -> TrackSet:
        """Return no tracks, of J motion models and n states."""
        return TrackSet(
            keys=np.empty(0, object),
            mean=np.empty((0, *shape)),
            covariance=np.empty((0, *shape, shape[1])),
            modes=np.empty((0, shape[0])),
            size=np.empty((0, 3)),
            hidden=np.empty((0, 2, 2)),
            yaw=np.empty(0),
            bottom=np.empty(0),
            existence=np.empty(0),
            hits=np.empty(0, np.int64),
            boxed=np.empty(0, np.int64),
            evidence=np.empty(0),
            moving=np.empty(0, np.int64),
            first=np.empty(0, np.int64),
            seen=np.empty((0, len(SOURCES)), np.int64),
            lidars=np.empty(0, object),
            classes=np.empty((0, 0)),
            confirmed=np.empty(0, bool),
        )


_COLUMNS = tuple(item.name for item in fields(TrackSet))


def updated_existence(existence: Array, odds: Array) -> Array:
    """Return the probability of existence after evidence of `odds` for it (Bayes' rule).

    It never grows beyond 0.99: some sensor may always be mistaken, and what was seen a thousand
    times can still go.
    """
    return np.minimum(existence * odds / (existence * odds + 1.0 - existence), _SUREST)


def birth_keys(measurement: Measurement) -> NDArray[np.object_]:
    """Return the `BirthKey` of each box of a measurement."""
    keys = np.empty(len(measurement), object)
    origin = (measurement.stamp, int(measurement.source), measurement.sensor)
    keys[:] = [(*origin, index) for index in range(len(measurement))]
    return keys
