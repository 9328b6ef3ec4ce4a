"""Each motion model against its definition, and the filter over several against filterpy's."""

from __future__ import annotations

import numpy as np
import pytest
from filterpy.kalman import IMMEstimator, KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import Sensors
from scipy.linalg import expm, expm_frechet

from edge_robot.errors import UserError
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.motion import MotionModel
from edge_robot.fusion.motion.constant_acceleration import ConstantAcceleration
from edge_robot.fusion.motion.constant_turn import ConstantTurn, jacobian, moved
from edge_robot.fusion.motion.constant_velocity import ConstantVelocity
from edge_robot.fusion.motion.single import SingleModel
from edge_robot.fusion.tracker import Tracker

NOISE = 0.05**2 * np.eye(2)
ALL = ("still", "random_walk", "constant_velocity", "constant_acceleration", "constant_turn")


def transition_and_noise(model: SingleModel, mean: np.ndarray, dt: float) -> tuple[np.ndarray, ...]:
    """Return F and Q of a linear model, as its prediction shows them."""
    size = mean.size
    columns = [model.predict(e[None], np.zeros((1, size, size)), dt)[0][0] for e in np.eye(size)]
    return np.column_stack(columns), model.predict(mean[None], np.zeros((1, size, size)), dt)[1][0]


@pytest.mark.parametrize(
    ("model", "order"), [(ConstantVelocity(0.7), 2), (ConstantAcceleration(0.7), 3)]
)
@pytest.mark.parametrize("dt", [0.0, 0.05, 1.3])
def test_linear_models_are_exact_over_time(model: SingleModel, order: int, dt: float) -> None:
    """Van Loan (1978): transition and noise from one matrix exponential."""
    size = 2 * order
    drift = np.eye(size, k=2)
    driven = np.zeros((size, size))
    driven[-2:, -2:] = 0.7 * np.eye(2)
    both = expm(np.block([[-drift, driven], [np.zeros((size, size)), drift.T]]) * dt)
    transition = both[size:, size:].T
    found, noise = transition_and_noise(model, np.zeros(size), dt)
    np.testing.assert_allclose(found, transition, atol=1e-12)
    np.testing.assert_allclose(noise, transition @ both[:size, size:], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    speed=st.floats(-20.0, 20.0),
    rate=st.floats(-3.0, 3.0) | st.floats(-1e-6, 1e-6),
    dt=st.floats(0.0, 2.0),
)
def test_turn_and_its_derivative(speed: float, rate: float, dt: float) -> None:
    mean = np.array([1.0, -2.0, speed, 3.0, rate])
    # Constant speed on a circle: the velocity turns, the position is its integral.
    turn = np.zeros((4, 4))
    turn[2, 3], turn[3, 2] = -1.0, 1.0
    drift = np.eye(4, k=2) + rate * turn
    transition, by_rate = expm_frechet(drift * dt, turn * dt)
    after = moved(mean[None], dt)[0]
    np.testing.assert_allclose(after[:4], transition @ mean[:4], rtol=1e-10, atol=1e-10)
    expected = np.eye(5)
    expected[:4, :4], expected[:4, 4] = transition, by_rate @ mean[:4]
    np.testing.assert_allclose(jacobian(mean[None], dt)[0], expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(rate=st.floats(-2.0, 2.0) | st.floats(-1e-6, 1e-6), dt=st.floats(0.01, 1.0))
def test_noise_of_a_turn_is_the_integral_of_its_derivative(rate: float, dt: float) -> None:
    mean = np.array([0.0, 0.0, 4.0, 1.0, rate])
    zero = np.zeros((1, 5, 5))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    after = moved(mean[None], dt)

    def integral(driven: np.ndarray) -> np.ndarray:
        total = np.zeros((5, 5))
        for node, weight in zip(nodes, weights, strict=True):
            left = dt * (1.0 - node) / 2.0
            derivative = jacobian(moved(after, -left), left)[0]
            total += weight * dt / 2.0 * derivative @ driven @ derivative.T
        return total

    _, noise = ConstantTurn(0.7, 0.0).predict(mean[None], zero, dt)
    accelerated = np.diag([0.0, 0.0, 0.7, 0.7, 0.0])
    np.testing.assert_allclose(noise[0], integral(accelerated), rtol=1e-10, atol=1e-13)
    _, noise = ConstantTurn(0.0, 0.1).predict(mean[None], zero, dt)
    turned = integral(np.diag([0.0, 0.0, 0.0, 0.0, 0.1]))
    angle = abs(rate) * dt
    np.testing.assert_allclose(noise[0], turned, atol=(angle + 1e-9) * np.abs(turned).max())


def switching(models: tuple[str, ...], dt: float) -> np.ndarray:
    """Return the probabilities of changing models from the rates, by the matrix exponential."""
    still = np.array([name == "still" for name in models])
    rates = np.zeros((len(models), len(models)))
    for i in range(len(models)):
        for j in range(len(models)):
            if still[i] and not still[j]:
                rates[i, j] = 1.0 / 15.0 / (~still).sum()
            elif still[j] and not still[i]:
                rates[i, j] = 1.0 / 5.0
            elif i != j:
                rates[i, j] = 1.0 / 3.0 / ((~still).sum() - 1)
        rates[i, i] = -rates[i].sum()
    return expm(rates * dt)


@pytest.mark.parametrize(
    "models", [ALL, ALL[:2], ALL[:3], ALL[1:], ALL[2:4], ALL[:1], ALL[4:], ALL[::-1]]
)
@pytest.mark.parametrize("dt", [0.0, 0.1, 4.0])
def test_models_change_as_a_markov_chain(models: tuple[str, ...], dt: float) -> None:
    found = MotionModel(motion_models=models).transition_probabilities(dt)
    np.testing.assert_allclose(found, switching(models, dt), atol=1e-12)


class Turning(KalmanFilter):
    """An extended filter of a turn among states (x, y, vx, vy, ax, ay, turn rate)."""

    used = (0, 1, 2, 3, 6)

    def predict(self, *_: object) -> None:
        mean = self.x[list(self.used)][None]
        square = np.ix_(self.used, self.used)
        derivative, noise = jacobian(mean, self.dt)[0], np.zeros((1, 5, 5))
        covariance = derivative @ self.P[square] @ derivative.T
        self.x, self.P = np.zeros(7), np.diag([0.0, 0, 0, 0, 1.0, 1.0, 0.0])
        self.x[list(self.used)] = moved(mean, self.dt)[0]
        self.P[square] = covariance + ConstantTurn(0.4, 0.05).predict(mean, noise, self.dt)[1][0]
        self.x_prior, self.P_prior = self.x.copy(), self.P.copy()


def oracle(models: tuple[str, ...], dt: float, state: tuple[np.ndarray, ...]) -> IMMEstimator:
    """Return filterpy's estimator with the same models, of seven states each."""
    start = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.3]) ** 2
    filters = []
    for j, name in enumerate(models):
        one = (Turning if name == "constant_turn" else KalmanFilter)(dim_x=7, dim_z=2)
        one.x, one.P = state[0][0, j].copy(), state[1][0, j].copy()
        one.H, one.R, one.dt = np.eye(2, 7), NOISE, dt
        one.F, one.Q = np.zeros((7, 7)), np.diag(start)
        if name in ("constant_velocity", "constant_acceleration"):
            linear, size = (
                (ConstantVelocity(0.4), 4)
                if name == "constant_velocity"
                else (ConstantAcceleration(1.0), 6)
            )
            block = slice(size), slice(size)
            one.F[block], one.Q[block] = transition_and_noise(linear, np.zeros(size), dt)
        else:
            one.F[[0, 1], [0, 1]] = 1.0
            one.Q[[0, 1], [0, 1]] = {"still": 0.01, "random_walk": 0.3}.get(name, 0.0) ** 2 * dt
        filters.append(one)
    return IMMEstimator(filters, state[2][0].copy(), switching(models, dt))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dt=st.floats(0.05, 0.3))
def test_five_models_equal_filterpy(seed: int, dt: float) -> None:
    rng = np.random.default_rng(seed)
    model = MotionModel(motion_models=ALL)
    assert model.shape == (5, 7)
    state = model.start(rng.normal(size=(1, 2)), NOISE[None])
    estimator = oracle(ALL, dt, state)
    at = state[0][0, 0, :2].copy()
    for step in range(12):
        course = 0.4 * step * dt
        at += 2.0 * dt * np.array([np.cos(course), np.sin(course)])
        z = at + rng.normal(0.0, 0.05, 2)
        mean, covariance, modes = model.predict(*state, dt)
        state = model.update(
            mean, covariance, modes, z - mean[:, :, :2], np.eye(2)[None], NOISE[None]
        )
        estimator.predict()
        estimator.update(z)
        if estimator.mu.min() < 1e-8:
            return  # from here on the filter keeps the least model alive
        for j, one in enumerate(estimator.filters):
            np.testing.assert_allclose(state[0][0, j], one.x, atol=1e-9)
            np.testing.assert_allclose(state[1][0, j], one.P, atol=1e-9)
        np.testing.assert_allclose(state[2][0], estimator.mu, atol=1e-9)


def follow(model: MotionModel, path: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x, y, vx, vy after each noisy measurement of a path, and the last probabilities."""
    rng = np.random.default_rng(1)
    state, found = model.start(path[:1], NOISE[None]), []
    for point in path[1:]:
        mean, covariance, modes = model.predict(*state, dt)
        innovation = point + rng.normal(0.0, 0.05, 2) - mean[:, :, :2]
        state = model.update(mean, covariance, modes, innovation, np.eye(2)[None], NOISE[None])
        found.append(model.combine(*state)[0][0])
    return np.array(found), state[2][0]


def test_who_turns_is_followed_better_by_a_model_that_turns() -> None:
    t = np.arange(100) * 0.1
    radius, rate = 8.0, 0.8
    circle = radius * np.column_stack([np.cos(rate * t), np.sin(rate * t)])
    velocity = radius * rate * np.column_stack([-np.sin(rate * t), np.cos(rate * t)])
    settings = {"start_speed": 5.0, "acceleration_noise": 1.0}
    errors = []
    default = MotionModel().motion_models
    for models in (default, (*default, "constant_turn")):
        found, modes = follow(MotionModel(motion_models=models, **settings), circle, 0.1)
        errors.append(np.sqrt(np.mean((found[40:, 2:] - velocity[41:]) ** 2)))
    assert modes[2] > 0.6
    assert errors[1] < 0.6 * errors[0]


def test_states_are_those_the_models_use() -> None:
    assert MotionModel().shape == (2, 4)
    assert MotionModel(motion_models=("still", "constant_turn")).shape == (2, 5)
    assert MotionModel(motion_models=("constant_acceleration",)).shape == (1, 6)
    assert MotionModel(motion_models=("random_walk",)).shape == (1, 4)


@pytest.mark.parametrize("models", [(), ("walk",), ("still", "still")])
def test_models_that_do_not_exist_are_refused(models: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="motion_models"):
        MotionModel(motion_models=models)


@pytest.mark.parametrize("models", [ALL, ("constant_velocity",)])
def test_tracker_runs_on_any_choice_of_models(models: tuple[str, ...]) -> None:
    tracker = Tracker(TrackerConfig(motion=MotionModel(motion_models=models)))
    sensors = Sensors()
    for k in range(20):
        t = 0.1 * k
        assert tracker.process(sensors.lidar(t, [(4.0, -1.0 + t)]))
        assert tracker.process(sensors.camera(t + 0.03, [(4.0, -0.97 + t)]))
    (track,) = tracker.tracks()
    np.testing.assert_allclose(track.velocity, [0.0, 1.0], atol=0.35)
    assert track.covariance.shape == (4, 4)
