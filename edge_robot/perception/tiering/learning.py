"""Learns from labelled images what a second opinion adds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from edge_robot.perception.tiering.calibration import ScoreCalibration
from edge_robot.perception.tiering.features import FEATURES
from edge_robot.perception.tiering.gain_model import GainModel
from edge_robot.perception.tiering.mixture import TierMixture


def expected_gains(
    mixture: TierMixture,
    groups: NDArray[np.int64],
    draws: int,
    rng: np.random.Generator,
    progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float64]:
    """Return what uploading each frame adds to the mean average precision of sets like it.

    The gain of a frame depends on the set it is part of, and on what else is uploaded. So sets are
    drawn, of one variation of each image, with a random choice of uploads, and the gain of each
    frame in them is averaged (Shapley's value, but for sets of all images).

    Args:
        mixture: All variations of all images.
        groups: (N,) image that each frame is a variation of.
        draws: Sets drawn.
        rng: Source of chance.
        progress: Is told how many draws are done.

    Returns:
        (N,) mean gain; NaN for a frame that was never drawn.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    total, count = np.zeros(mixture.frames), np.zeros(mixture.frames)
    for draw in range(draws):
        frames = np.sort([int(rng.choice(rows)) for rows in members])
        some = mixture.subset(frames)
        for _ in range(2):  # a set is dear, a choice within it is not
            uploaded = rng.uniform(size=len(frames)) < rng.uniform()
            precisions = some.class_precisions(uploaded)
            total[frames] += [some.gain(k, uploaded, precisions) for k in range(len(frames))]
            count[frames] += 1
        progress(draw + 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def fit_gain_model(
    features: NDArray[np.float64],
    gains: NDArray[np.float64],
    calibration: ScoreCalibration,
    *,
    ridge: float,
    learnt_on: str,
    seed: int,
    date: str,
) -> GainModel:
    """Fit a linear model, each weight of the sign that its feature is bound to.

    Ridge regression on standardised features as non-negative least squares.

    Args:
        features: (N, F).
        gains: (N,).
        calibration: With which the features were made; goes into the model.
        ridge: Strength of the pull towards nought, against one frame's worth of evidence each.
        learnt_on: Goes into the model.
        seed: Goes into the model.
        date: Goes into the model.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    useful = scale > 1e-9
    z = np.where(useful, (features - mean) / np.where(useful, scale, 1.0), 0.0)
    target = (gains - gains.mean()) / max(float(gains.std()), 1e-12)
    signs = np.array([feature.sign for feature in FEATURES])
    # A feature free to go either way counts as two, one for each.
    columns = [(k, way) for k, sign in enumerate(signs) for way in ((sign,) if sign else (1, -1))]
    design = np.column_stack([way * z[:, k] for k, way in columns]) / np.sqrt(len(z))
    rows = np.vstack([design, np.sqrt(ridge) * np.eye(len(columns))])
    solution, _ = nnls(rows, np.concatenate([target / np.sqrt(len(z)), np.zeros(len(columns))]))
    weights = np.zeros(len(FEATURES))
    for (k, way), value in zip(columns, solution, strict=True):
        weights[k] += way * value
    weights = np.where(useful, weights / np.where(useful, scale, 1.0), 0.0)
    predicted = features @ weights
    spread = float(predicted.std())
    return GainModel(
        tuple(weights.tolist()),
        float(predicted.mean()),
        spread if spread > 1e-12 else 1.0,
        calibration,
        learnt_on,
        seed,
        date,
    )
