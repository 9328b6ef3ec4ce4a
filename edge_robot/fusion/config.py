"""Everything about the tracker that may be set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.fusion.admission import AdmissionSettings
from edge_robot.fusion.alignment import AlignmentSettings
from edge_robot.fusion.consistency import ConsistencySettings
from edge_robot.fusion.history import HistorySettings
from edge_robot.fusion.motion import MotionModel
from edge_robot.fusion.peers import PeerConfig
from edge_robot.settings import Settings, SettingsT, setting, with_values

_OVERSIZE = 1.6  # times the usual size of a class


@dataclass(frozen=True)
class ClassPrior:
    """What is known of a class before seeing one; classes without a prior start no track alone.

    Attributes:
        length: m.
        width: m.
        height: m.
        height_error: Standard deviation of the height, m.
    """

    length: float
    width: float
    height: float
    height_error: float

    @property
    def limits(self) -> tuple[float, float, float]:
        """Length, width and height that an object of the class may measure, however turned, m."""
        around = _OVERSIZE * max(self.length, self.width)
        return around, around, _OVERSIZE * self.height


@dataclass(frozen=True)
class ClassSettings(Settings):
    """Priors as parameters can say them: a list for each column."""

    class_names: Sequence[str] = setting(("person",), "classes that may start a track alone")
    class_lengths: Sequence[float] = setting((0.5,), "usual length of each class, m", ge=0.01)
    class_widths: Sequence[float] = setting((0.5,), "usual width of each class, m", ge=0.01)
    class_heights: Sequence[float] = setting((1.72,), "usual height of each class, m", ge=0.01)
    class_height_errors: Sequence[float] = setting(
        (0.12,), "standard deviation of the height, m", ge=0.0
    )

    def priors(self) -> dict[str, ClassPrior]:
        """Return them by class.

        Raises:
            UserError: the lists differ in length.
        """
        names, *columns = (getattr(self, item.name) for item in fields(self))
        if any(len(column) != len(names) for column in columns):
            raise UserError(
                "class_names, class_lengths, class_widths, class_heights and class_height_errors "
                "differ in length; give one value per class"
            )
        return {name: ClassPrior(*row) for name, *row in zip(names, *columns, strict=True)}


@dataclass(frozen=True)
class BoxClass(Settings):
    """How whole boxes of one class are tracked (`BoxMeasurement`)."""

    score_midpoint: float = setting(
        0.4, "score of a box that speaks neither for nor against the track it belongs to"
    )
    score_slope: float = setting(
        8.0, "how fast the logarithm of the odds that it is one grows with the score"
    )
    max_evidence: float = setting(
        3.0, "largest logarithm of odds, for or against, that one box is worth"
    )
    sure_score: float = setting(
        0.4, "score from which a box is given a track before those below are"
    )
    birth_score: float = setting(0.2, "score from which a box starts a track")
    detection: float = setting(0.7, "probability that the detector finds what is there")
    min_giou: float = setting(-0.2, "least 3D GIoU of a pair of track and box")
    position_noise: float = setting(0.1, "standard deviation of a box's centre, m")
    size_gain: float = setting(0.05, "least share of a new size that is taken over")
    yaw_gain: float = setting(0.3, "the same of a new heading")
    bottom_gain: float = setting(0.3, "the same of a new height above ground")
    confirm_existence: float = setting(0.5, "existence from which a track is confirmed")
    delete_existence: float = setting(0.05, "existence below which a track is forgotten")
    max_coasting: float = setting(1.0, "time without a measurement after which it is, s")
    publish_existence: float = setting(
        0.5, "existence from which a track is published at a time when nothing measured it"
    )


UNKNOWN = ClassPrior(np.nan, np.nan, np.nan, np.nan)
"""Of a class without a prior: nothing is too large for it."""
PERSON = ClassSettings().priors()["person"]


@dataclass(frozen=True)
class TrackerConfig(Settings):
    """The tracker's parameters.

    Attributes:
        motion: How objects move.
        priors: What is known beforehand of the classes that a camera may start a track of.
        box_classes: How whole boxes are tracked, by class; other classes by `BoxClass()`.
    """

    motion: MotionModel = field(default_factory=MotionModel)
    priors: Mapping[str, ClassPrior] = field(default_factory=lambda: {"person": PERSON})
    peers: PeerConfig = field(default_factory=PeerConfig)
    box_classes: Mapping[str, BoxClass] = field(default_factory=dict)
    ground_z: float = setting(
        0.0, "height of the ground in the fixed frame, m", ge=-1000.0, le=1000.0, live=True
    )
    lidar_noise: float = setting(
        0.06,
        "standard deviation of where a lidar box puts the middle of what is in sight, as if errors "
        "of successive sweeps were independent, m",
        ge=0.0001,
        le=10.0,
    )
    lidar_range_noise: float = setting(
        0.002, "its growth with range, m per m", ge=0.0, le=1.0, live=True
    )
    hidden_noise: float = setting(
        0.15,
        "share of a box's unseen part that its centre may be off by",
        ge=0.0,
        le=10.0,
        live=True,
    )
    pixel_noise: float = setting(
        4.0, "standard deviation of a camera box's edges, pixels", ge=0.01, le=1000.0
    )
    box_noise: float = setting(
        0.05, "its growth with the box's width, pixels per pixel", ge=0.0, le=10.0
    )
    slope_noise: float = setting(
        0.01,
        "standard deviation of the ground's slope against the camera, rad",
        ge=0.0,
        le=1.5,
        live=True,
    )
    range_correlation: float = setting(
        8.0,
        "successive camera ranges of one object that say as much as one would alone: their errors "
        "(posture, build, slope) hardly change between frames",
        ge=1.0,
        le=1000.0,
        live=True,
    )
    gate: float = setting(
        16.0,
        "largest squared Mahalanobis distance of a pair of track and measurement",
        ge=0.1,
        le=1000.0,
        live=True,
    )
    min_iou: float = setting(
        0.2, "least image overlap of a pair of track and camera box", ge=0.0, le=1.0, live=True
    )
    max_camera_range_error: float = setting(
        2.0,
        "largest standard deviation of range with which a camera box alone starts a track, m",
        ge=0.0,
        le=1000.0,
        live=True,
    )
    birth_score: float = setting(
        0.4, "least score with which a camera box alone starts a track", ge=0.0, le=1.0, live=True
    )
    lidar_detection: float = setting(
        0.8, "probability that the lidar sees what it saw before", ge=0.0, le=0.999, live=True
    )
    camera_detection: float = setting(
        0.6, "the same of the camera, for what is in its view", ge=0.0, le=0.999, live=True
    )
    lidar_evidence: float = setting(
        6.0,
        "how many times likelier a lidar box is with an object than without",
        ge=1.0,
        le=1000000.0,
        live=True,
    )
    radar_detection: float = setting(
        0.5, "the same of the radar, for what it saw before", ge=0.0, le=0.999, live=True
    )
    radar_evidence: float = setting(
        4.0, "the likelihood ratio of a radar detection", ge=1.0, le=1000000.0, live=True
    )
    camera_evidence: float = setting(
        10.0, "the same of a camera box of score 1", ge=1.0, le=1000000.0, live=True
    )
    fleet_detection: float = setting(
        0.25,
        "probability that the fleet's detector finds what is there and the robot's missed in the "
        "same image",
        ge=0.0,
        le=0.999,
        live=True,
    )
    fleet_birth_score: float = setting(
        0.8,
        "least score with which a box of the fleet's alone starts a track",
        ge=0.0,
        le=1.0,
        live=True,
    )
    moving_sweeps: int = setting(
        5,
        "successive sweeps for which something of no class with a prior must move before it is "
        "given a velocity: pieces of structure appear to jump",
        ge=0,
        le=10000,
        live=True,
    )
    figure_range: float = setting(
        4.0,
        "range up to which two sweeps do for what is slim and upright, clearly moves and has been "
        "seen by one lidar alone: somebody may have stepped out; further off few beams meet it; "
        "0: never, m",
        ge=0.0,
        le=1000.0,
        live=True,
    )
    other_classes: tuple[str, ...] = setting(
        ("forklift", "pallet", "box"),
        "camera classes without a prior that may name what the lidar sees; those in neither list "
        "(structure, or what a detector of other things believes to see) name nothing",
    )
    clear_height: float = setting(
        1.4,
        "usual height of the classes that a lidar is taken to meet where it sees through the place "
        "of what only a camera has seen; more than lidar_perception's clear_to, m",
        ge=0.0,
        le=100.0,
        live=True,
    )
    clear_detection: float = setting(
        0.9, "probability that it does; 0: never", ge=0.0, le=0.999, live=True
    )
    hidden_share: float = setting(
        0.1,
        "share of those whom only a camera has seen that are partly out of sight, so that their "
        "range may be off by more",
        ge=0.0,
        le=0.99,
        live=True,
    )
    hidden_range_error: float = setting(
        0.3, "by what share of it, standard deviation", ge=0.0, le=10.0, live=True
    )
    confirm_existence: float = setting(
        0.8, "existence from which a track is confirmed", ge=0.0, le=1.0, live=True
    )
    confirm_hits: int = setting(
        3, "measurements from which a track is confirmed", ge=1, le=10000, live=True
    )
    delete_existence: float = setting(
        0.05, "existence below which a track is forgotten", ge=0.0, le=1.0, live=True
    )
    max_coasting: float = setting(
        1.0,
        "time without a measurement after which a confirmed track is forgotten, s",
        ge=0.0,
        le=600.0,
        live=True,
    )
    max_coasting_unnamed: float = setting(
        0.5,
        "the same of a confirmed track that no camera has named, s",
        ge=0.0,
        le=600.0,
        live=True,
    )
    max_coasting_tentative: float = setting(
        0.35, "the same of a track not yet confirmed, s", ge=0.0, le=600.0, live=True
    )
    max_position_error: float = setting(
        3.0,
        "standard deviation of position at which a track is forgotten, m",
        ge=0.01,
        le=1000.0,
        live=True,
    )
    recent: float = setting(
        0.5, "how long a sensor counts as recent, s", ge=0.0, le=600.0, live=True
    )
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    consistency: ConsistencySettings = field(default_factory=ConsistencySettings)
    history: HistorySettings = field(default_factory=HistorySettings)


def box_table(config: TrackerConfig, class_names: Sequence[str]) -> NDArray[np.void]:
    """Return the `BoxClass` of each class and, last, that of the rest, (C + 1,), by field name."""
    classes = [config.box_classes.get(name, BoxClass()) for name in class_names] + [BoxClass()]
    layout = [(item.name, float) for item in fields(BoxClass)]
    return np.array([astuple(each) for each in classes], layout)


def read_config(path: Path) -> TrackerConfig:
    """Read a YAML file of settings by name, with those of each class under `box_classes`.

    Settings that it does not have keep their defaults.

    Raises:
        UserError: The file is missing or not such a file, or has a name or a value that no setting
            has; it says which.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    values = _by_name(path, content)
    classes = _by_name(path, values.pop("box_classes", {}))
    box_classes = {name: _settings(path, BoxClass(), each) for name, each in classes.items()}
    return replace(_settings(path, TrackerConfig(), values), box_classes=box_classes)


def _by_name(path: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UserError(f"{path}: {content!r} where settings by name are expected")
    return dict(content)


def _settings(path: Path, defaults: SettingsT, content: Any) -> SettingsT:
    values = _by_name(path, content)
    wrong = [name for name, value in values.items() if isinstance(value, (str, bool, type(None)))]
    if wrong:
        raise UserError(f"{path}: {', '.join(wrong)}: not a number")
    try:
        settings = with_values(defaults, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if values:
        raise UserError(f"{path}: no such setting: {', '.join(map(str, values))}")
    return settings
