"""Predicts what a second opinion on a frame would add: a linear model in a small JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.calibration import ScoreCalibration
from edge_robot.perception.tiering.features import FEATURES, frame_features
from edge_robot.share import share_dir


@dataclass(frozen=True)
class GainModel:
    """What a second opinion adds, as a weighted sum of a frame's features.

    Attributes:
        weights: Per feature, in its order in `FEATURES`; of the sign stated there.
        centre: Weighted sum of the average frame learnt from.
        spread: Standard deviation of the weighted sum among the frames learnt from.
        calibration: What the scores of the onboard detector mean, for the features.
        learnt_on: From which images, and how: for people.
        seed: Of the variations learnt from.
        date: When, ISO 8601.
    """

    weights: tuple[float, ...]
    centre: float
    spread: float
    calibration: ScoreCalibration
    learnt_on: str
    seed: int
    date: str

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one of them makes no sense; says which.
        """
        if len(self.weights) != len(FEATURES):
            raise ValueError(f"{len(self.weights)} weights for {len(FEATURES)} features")
        if not np.all(np.isfinite([*self.weights, self.centre, self.spread])):
            raise ValueError("a weight, centre or spread is not finite")
        if self.spread <= 0.0:
            raise ValueError(f"spread is {self.spread}, not above 0")
        for weight, feature in zip(self.weights, FEATURES, strict=True):
            if weight * feature.sign < 0.0:
                raise ValueError(f"weight of {feature.name} is {weight}, of the wrong sign")

    def worth(self, found: Detections, grey: NDArray[np.uint8]) -> float:
        """Return a frame's worth in standard deviations from the average frame learnt from.

        A frame in which nothing was found is worth no less than the average one. Learning sees few
        of them, and a detector that found nothing has no score to tell how sure it is of that.

        Args:
            found: The onboard detections in it.
            grey: The image as `features.reduced` makes it.
        """
        features = frame_features(found, grey, self.calibration)
        worth = float((features @ np.array(self.weights) - self.centre) / self.spread)
        return worth if len(found) else max(0.0, worth)

    def write(self, path: Path) -> None:
        """Write the model as JSON, weights by the names of their features.

        Raises:
            UserError: the file cannot be written.
        """
        names = [feature.name for feature in FEATURES]
        content = {**asdict(self), "weights": dict(zip(names, self.weights, strict=True))}
        try:
            path.write_text(json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error


def read_gain_model(path: Path) -> GainModel:
    """Read a model that `GainModel.write` wrote.

    Raises:
        UserError: the file cannot be read, or is none; says what is wrong.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        named = dict(content.pop("weights"))
        weights = tuple(float(named.pop(feature.name)) for feature in FEATURES)
        if named:
            raise ValueError(f"unknown features {sorted(named)}")
        return GainModel(
            weights,
            float(content.pop("centre")),
            float(content.pop("spread")),
            ScoreCalibration(**{name: float(x) for name, x in content.pop("calibration").items()}),
            str(content.pop("learnt_on")),
            int(content.pop("seed")),
            str(content.pop("date")),
        )
    except KeyError as error:
        reason = f"{error} is missing"
    except OSError as error:
        reason = str(error.strerror)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
    raise UserError(
        f"tier model {path} cannot be used: {reason}; learn one with "
        "`edge-robot bench tiering --write-policy FILE`"
    )


def find_gain_model(name: str) -> GainModel:
    """Read a model by its name in `models/` or by its path.

    Raises:
        UserError: there is none, or it cannot be used.
    """
    path = Path(name).expanduser()
    if path.suffix != ".json" and len(path.parts) == 1:
        path = share_dir() / "models" / f"{name}.json"
    return read_gain_model(path)
