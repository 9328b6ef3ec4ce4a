"""Interacting multiple model filter: several motion models at once, each weighed by its fit.

Most of what a robot sees stands still. One constant-velocity filter would give every box and
shelf a small random speed; weighing "it stands" against "it moves" with each measurement gives
standing things none, and lets a person who starts to walk be seen walking within a few sweeps.

All models share one state: x, y, vx, vy, and of ax, ay and the turn rate what the models chosen
use. A state that a model does not use holds, under that model, what it would begin with: zero, as
uncertain as at the start. So no model inherits certainty from one that knows nothing. Arrays are
(N tracks, J models, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.fusion import kalman, unscented
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.motion.constant_acceleration import ConstantAcceleration
from edge_robot.fusion.motion.constant_turn import ConstantTurn
from edge_robot.fusion.motion.constant_velocity import ConstantVelocity
from edge_robot.fusion.motion.random_walk import RandomWalk
from edge_robot.fusion.motion.single import STATES, SingleModel
from edge_robot.settings import Settings, setting

PUBLISHED = 4
"""The first states, x, y, vx, vy: there with every choice of models."""
_TINY = 1e-9  # least probability of a model: none dies for good


@dataclass(frozen=True)
class MotionModel(Settings):
    """The models and how objects change between them.

    Raises:
        UserError: `motion_models` names none, one twice, or one that does not exist.
    """

    motion_models: tuple[str, ...] = setting(
        ("still", "constant_velocity"),
        "how objects may move: still, random_walk, constant_velocity, constant_acceleration, "
        "constant_turn; each one more costs time",
    )
    acceleration_noise: float = setting(
        0.4, "power spectral density of a moving object's acceleration, m²/s³", ge=0.0, le=1000.0
    )
    jerk_noise: float = setting(
        1.0, "power spectral density of jerk, of constant_acceleration, m²/s⁵", ge=0.0, le=1000.0
    )
    turn_noise: float = setting(
        0.05,
        "power spectral density of a change of turn rate, of constant_turn, rad²/s³",
        ge=0.0,
        le=1000.0,
    )
    start_speed: float = setting(
        1.0,
        "standard deviation of each velocity component of what starts to move, m/s",
        ge=0.0,
        le=1000.0,
    )
    start_acceleration: float = setting(
        1.0,
        "standard deviation of each acceleration component of what starts to move, m/s²",
        ge=0.0,
        le=1000.0,
    )
    start_turn_rate: float = setting(
        0.3, "standard deviation of the turn rate of what starts to turn, rad/s", ge=0.0, le=100.0
    )
    still_drift: float = setting(
        0.01, "how a standing object's position may creep, m/√s", ge=0.0, le=100.0
    )
    wander_drift: float = setting(
        0.3, "how one of random_walk shuffles about, m/√s", ge=0.0, le=100.0
    )
    still_speed: float = setting(
        0.02,
        "standard deviation of a standing object's velocity as reported, m/s",
        ge=0.0,
        le=100.0,
    )
    still_time: float = setting(
        15.0, "mean time an object stands before it moves, s", ge=0.01, le=1000000.0
    )
    restless_still_time: float = setting(
        4.0,
        "the same of people, vehicles and whatever else has a class that moves of itself, s",
        ge=0.01,
        le=1000000.0,
    )
    moving_time: float = setting(
        5.0, "mean time an object moves before it stands, s", ge=0.01, le=1000000.0
    )
    manoeuvre_time: float = setting(
        3.0,
        "mean time a moving object keeps to one of several models of motion, s",
        ge=0.01,
        le=1000000.0,
    )
    still_share: float = setting(
        0.8, "probability that an object first seen stands", ge=0.0, le=1.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = tuple(self.motion_models)
        object.__setattr__(self, "motion_models", names)  # a node's parameters come as lists
        unknown = sorted(set(names) - set(_MODELS))
        if unknown or not names or len(set(names)) < len(names):
            raise UserError(
                f"motion_models: {', '.join(names) or 'none'}; "
                f"give one or more of {', '.join(_MODELS)}, each once"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """J models and n states."""
        return len(self.motion_models), len(self._states)

    def predict(
        self,
        mean: Array,
        covariance: Array,
        modes: Array,
        dt: float,
        restless: NDArray[np.bool_] | bool = False,
    ) -> tuple[Array, Array, Array]:
        """Mix the models' states and predict each one `dt` seconds ahead.

        Args:
            mean: (N, J, n).
            covariance: (N, J, n, n).
            modes: (N, J) probability of each model.
            dt: s, at least 0.
            restless: (N,) or for all, whether what stands does so for `restless_still_time` only.
        """
        switch = _switching(self, dt)[np.asarray(restless, np.intp)]
        expected = np.vecmat(modes, switch)
        # weights[n, j, i]: probability that track n moved by model i, given that it does by j now.
        weights = modes[:, None, :] * switch.swapaxes(-1, -2) / expected[:, :, None]
        mixed, spread = _mixture(mean, covariance, weights)
        mean, covariance = np.zeros(mixed.shape), np.empty(spread.shape)
        covariance[:] = self._unused_covariance
        for model, (states, square) in zip(self._models, self._places, strict=True):
            mean[states], covariance[square] = model.predict(mixed[states], spread[square], dt)
        return mean, covariance, expected

    def update(
        self,
        mean: Array,
        covariance: Array,
        modes: Array,
        innovation: Array,
        observation: Array | None,
        noise: Array,
    ) -> tuple[Array, Array, Array]:
        """Update every model with one measurement per track, and weigh them by its likelihood.

        A model without velocity is taken at its word where velocity is measured: it has none.

        Args:
            mean: (N, J, n).
            covariance: (N, J, n, n).
            modes: (N, J) probabilities.
            innovation: (N, J, m), each model's own.
            observation: (N, m, k), the derivative of the measurement by the first k ≤ n states;
                None: the first m states themselves are measured.
            noise: (N, m, m).
        """
        if observation is None:
            of_velocity = innovation.shape[-1] > 2
        else:
            of_velocity = bool(observation[..., 2:].any())
            observation = observation[:, None]
        if of_velocity:
            mean, covariance = self._at_its_word(mean, covariance)
        mean, covariance, log_likelihood = kalman.update(
            mean, covariance, innovation, observation, noise[:, None]
        )
        if of_velocity:
            mean, covariance = self._forget_unused(mean, covariance)
        return mean, covariance, reweighed(modes, log_likelihood)

    def update_unscented(
        self,
        mean: Array,
        covariance: Array,
        modes: Array,
        measured: Array,
        expected: Callable[[Array], Array],
        noise: Array,
        subtract: Callable[[Array, Array], Array],
    ) -> tuple[Array, Array, Array]:
        """Do as `update` with a measurement that is no linear function of the states.

        Args:
            mean: (N, J, n).
            covariance: (N, J, n, n).
            modes: (N, J) probabilities.
            measured: (N, m).
            expected: The measurement of given states: (..., n) to (..., m).
            noise: (N, m, m).
            subtract: Difference of two measurements.
        """
        mean, covariance, log_likelihood = unscented.update(
            *self._at_its_word(mean, covariance),
            measured[:, None],
            expected,
            noise[:, None],
            subtract=subtract,
        )
        mean, covariance = self._forget_unused(mean, covariance)
        return mean, covariance, reweighed(modes, log_likelihood)

    def reported(self, mean: Array, covariance: Array) -> tuple[Array, Array]:
        """Return x, y, vx, vy as each model reports them, (N, J, 4) and (N, J, 4, 4)."""
        keep, keep_both, reported = self._published
        kept = covariance[..., :PUBLISHED, :PUBLISHED] * keep_both
        return mean[..., :PUBLISHED] * keep, kept + reported

    def combine(self, mean: Array, covariance: Array, modes: Array) -> tuple[Array, Array]:
        """Return x, y, vx, vy over all models of each track, (N, 4), and covariance (N, 4, 4)."""
        mean, covariance = _mixture(*self.reported(mean, covariance), modes[:, None])
        return mean[:, 0], covariance[:, 0]

    def start(self, position: Array, covariance: Array) -> tuple[Array, Array, Array]:
        """Return mean, covariance and probabilities of the models of tracks first seen.

        Args:
            position: (N, 2) m.
            covariance: (N, 2, 2) of the position.
        """
        count, (models, states) = len(position), self.shape
        mean = np.zeros((count, models, states))
        mean[:, :, :2] = position[:, None]
        full = np.empty((count, models, states, states))
        full[:] = self._start_covariance
        full[:, :, :2, :2] = covariance[:, None]
        modes = np.empty((count, models))
        modes[:] = self._start_modes
        return mean, full, modes

    def standing(self, modes: Array) -> Array:
        """Return the probability that each track stands, (N,)."""
        return modes @ self._still

    def _at_its_word(self, mean: Array, covariance: Array) -> tuple[Array, Array]:
        """Return the states with the velocity that each model reports."""
        mean, covariance = mean.copy(), covariance.copy()
        first = np.s_[..., :PUBLISHED]
        mean[first], covariance[(*first, np.s_[:PUBLISHED])] = self.reported(mean, covariance)
        return mean, covariance

    def _forget_unused(self, mean: Array, covariance: Array) -> tuple[Array, Array]:
        """Return the states with those that a model does not use as they begin."""
        uses = self._uses
        covariance = covariance * (uses[:, :, None] * uses[:, None]) + self._unused_covariance
        return mean * uses, covariance

    @cached_property
    def _models(self) -> list[SingleModel]:
        return [_MODELS[name](self) for name in self.motion_models]

    @cached_property
    def _states(self) -> tuple[str, ...]:
        used = {*STATES[:PUBLISHED]}.union(*(model.states for model in self._models))
        return tuple(state for state in STATES if state in used)

    @cached_property
    def _used(self) -> list[NDArray[np.intp]]:
        """Where the states of each model stand in the common state."""
        return [
            np.array([self._states.index(state) for state in model.states])
            for model in self._models
        ]

    @cached_property
    def _places(self) -> list[tuple[Any, Any]]:
        """What indexes the states of each model in `mean`, and in `covariance`."""
        places: list[tuple[Any, Any]] = []
        for j, used in enumerate(self._used):
            if np.array_equal(used, np.arange(len(used))):  # a view, no copy
                first = slice(len(used))
                places.append((np.s_[:, j, first], np.s_[:, j, first, first]))
            else:
                places.append((np.s_[:, j, used], np.s_[:, j, used[:, None], used]))
        return places

    @cached_property
    def _uses(self) -> Array:
        """(J, n) 1 for the states that each model uses."""
        return np.array(
            [[float(s in model.states) for s in self._states] for model in self._models]
        )

    @cached_property
    def _start_covariance(self) -> Array:
        errors = {
            "vx": self.start_speed,
            "vy": self.start_speed,
            "ax": self.start_acceleration,
            "ay": self.start_acceleration,
            "turn_rate": self.start_turn_rate,
        }
        return np.diag([errors.get(state, 0.0) ** 2 for state in self._states])

    @cached_property
    def _unused_covariance(self) -> Array:
        """(J, n, n) of the states that each model does not use."""
        return self._start_covariance * (1.0 - self._uses)[:, None]

    @cached_property
    def _still(self) -> Array:
        """(J,) 1 for what stands, 0 for what moves."""
        return np.array([float(name == "still") for name in self.motion_models])

    @cached_property
    def _counts(self) -> tuple[int, int]:
        """How many models stand, and how many move."""
        still = int(self._still.sum())
        return still, len(self._still) - still

    @cached_property
    def _switches(self) -> Array:
        """(5, J·J), 1 for what goes on standing, starts, stops, moves on, moves on by one model."""
        still, moving = self._still, 1.0 - self._still
        return np.array(
            [
                np.outer(still, still),
                np.outer(still, moving),
                np.outer(moving, still),
                np.outer(moving, moving),
                np.diag(moving),
            ]
        ).reshape(5, -1)

    @cached_property
    def _start_modes(self) -> Array:
        moving = 1.0 - self._still
        share = self._still * self.still_share + moving * (1.0 - self.still_share) / max(
            moving.sum(), 1.0
        )
        return share / share.sum()

    @cached_property
    def _published(self) -> tuple[Array, Array, Array]:
        """What of each model is published, and what stands in for the rest.

        Factors of mean (J, 4) and of covariance (J, 4, 4), and what is added to that, (J, 4, 4).
        A model without velocity carries that of a possible start; until then there is none.
        """
        keep, reported = np.ones((len(self._models), 4)), np.zeros((len(self._models), 4, 4))
        for j, model in enumerate(self._models):
            if isinstance(model, RandomWalk):
                keep[j, 2:] = 0.0
                reported[j, [2, 3], [2, 3]] = model.reported_speed**2
        return keep, keep[:, :, None] * keep[:, None], reported

    def transition_probabilities(self, dt: float, restless: bool = False) -> Array:
        """Return the (J, J) probabilities of going from one model (row) to another within `dt`.

        A Markov chain in continuous time, in closed form: what stands starts at the rate
        1 / `still_time`, or 1 / `restless_still_time`, to move by any model; what moves stops at
        the rate 1 / `moving_time`, and goes over to another way of moving at the rate
        1 / `manoeuvre_time`.
        """
        still, moving = self._counts
        still_time = self.restless_still_time if restless else self.still_time
        starting, stopping = (
            (1.0 / still_time, 1.0 / self.moving_time) if still and moving else (0, 0)
        )
        total = starting + stopping
        changed = (1.0 - exp(-total * dt)) / total if total else 0.0
        turnover = moving / (moving - 1) / self.manoeuvre_time if moving > 1 else 0.0
        stays = exp(-(stopping + turnover) * dt)
        each = max(moving, 1)
        stands, starts, stops = 1.0 - starting * changed, starting * changed, stopping * changed
        goes_on = 1.0 - stops - stays
        shares = np.array([stands, starts / each, stops, goes_on / each, stays])
        return (shares @ self._switches).reshape(still + moving, still + moving)


@lru_cache(maxsize=64)
def _switching(model: MotionModel, dt: float) -> Array:
    """Return `transition_probabilities` of what is not restless and of what is, (2, J, J)."""
    both = np.array([model.transition_probabilities(dt, restless) for restless in (False, True)])
    both.flags.writeable = False  # they are shared
    return both


def reweighed(modes: Array, log_likelihood: Array) -> Array:
    """Return the probabilities of the models after a measurement (Bayes' rule), (N, J).

    Args:
        modes: (N, J) probabilities before it.
        log_likelihood: (N, J) of the measurement by each model.
    """
    weight = modes * np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    weight = np.maximum(weight / weight.sum(axis=1, keepdims=True), _TINY)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _mixture(mean: Array, covariance: Array, weights: Array) -> tuple[Array, Array]:
    """Return mean (N, K, n) and covariance (N, K, n, n) of K mixtures of J Gaussians each.

    Args:
        mean: (N, J, n).
        covariance: (N, J, n, n).
        weights: (N, K, J), of sum 1.
    """
    size = mean.shape[-1]
    mixed = weights @ mean
    within = weights @ covariance.reshape(*mean.shape[:2], size * size)
    offset = mean[:, None] - mixed[:, :, None]
    between = kalman.transposed(weights[..., None] * offset) @ offset
    return mixed, within.reshape(*mixed.shape, size) + between


_MODELS: Mapping[str, Callable[[MotionModel], SingleModel]] = {
    "still": lambda s: RandomWalk(s.still_drift, s.still_speed),
    # What wanders has no velocity, but in a second gets as far as if it had one.
    "random_walk": lambda s: RandomWalk(s.wander_drift, s.wander_drift),
    "constant_velocity": lambda s: ConstantVelocity(s.acceleration_noise),
    "constant_acceleration": lambda s: ConstantAcceleration(s.jerk_noise),
    "constant_turn": lambda s: ConstantTurn(s.acceleration_noise, s.turn_noise),
}
