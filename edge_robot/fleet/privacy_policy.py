"""What may leave the robot, as config/privacy.yaml says it; `boundary` enforces it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from edge_robot.errors import UserError


class Tier(Enum):
    """Who receives."""

    FOG = "fog"
    """A backend on the premises."""
    CLOUD = "cloud"
    """A backend anywhere else."""


class Kind(Enum):
    """What something leaves the robot for."""

    DETECT = "detect"
    """A second opinion, at once; not kept."""
    PLAN = "plan"
    TELEMETRY = "telemetry"
    EVENT = "event"
    HARD_EXAMPLE = "hard_example"
    RECORDING = "recording"


class Level(IntEnum):
    """How much something reveals; what may be shown at one level may be at those above.

    Features hold no embedding and no thumbnail: images can be made of embeddings again, and a
    thumbnail is an image.
    """

    METADATA = 0
    """What the robot says of itself: stamps, durations, counts, modes, its own pose."""
    FEATURES = 1
    """What it has found, without pixels: classes, boxes, tracks, maps."""
    BLURRED = 2
    """Images, or parts of them, with protected objects made unrecognisable."""
    CROPS = 3
    """Parts of images as captured; whole images only blurred."""
    RAW = 4
    """Whole images as captured."""


Zone = tuple[float, float, float, float]
"""Left, top, right, bottom in shares of the image, 0..1."""


@dataclass(frozen=True)
class PrivacyPolicy:
    """What may leave the robot.

    The rules are about images and hold at every level, where an object is what the onboard detector
    found or a track lets expect.

    Attributes:
        levels: Most that a tier may see, where `kinds` says nothing else.
        kinds: The same for a tier and a kind.
        protected_classes: Names of the classes to protect.
        max_protected_height: Greatest height of a protected object as a share of the image's; 1
            permits any.
        protected_zones: Where no protected object may be.
        permitted_classes: The only classes that may be in an image; empty permits all.
    """

    levels: Mapping[Tier, Level] = field(
        default_factory=lambda: {Tier.FOG: Level.RAW, Tier.CLOUD: Level.BLURRED}
    )
    kinds: Mapping[tuple[Tier, Kind], Level] = field(default_factory=dict)
    protected_classes: tuple[str, ...] = ("person",)
    max_protected_height: float = 1.0
    protected_zones: tuple[Zone, ...] = ()
    permitted_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one of them makes no sense; says which.
        """
        if not 0.0 <= self.max_protected_height <= 1.0:
            raise ValueError(f"max_protected_height is {self.max_protected_height}, not in 0..1")
        for zone in self.protected_zones:
            left, top, right, bottom = zone
            if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0):
                raise ValueError(
                    f"protected_zones: {list(zone)} is no left, top, right, bottom in 0..1"
                )

    def level(self, tier: Tier, kind: Kind) -> Level:
        """Return the most that a tier may see of a kind."""
        return self.kinds.get((tier, kind), self.levels[tier])

    @property
    def has_rules(self) -> bool:
        """Whether any rule could hold back an image that its level permits."""
        return (
            self.max_protected_height < 1.0
            or bool(self.protected_zones)
            or bool(self.permitted_classes)
        )

    @property
    def digest(self) -> str:
        """Sixteen hex digits that are the same for the same policy only."""
        levels = [self.level(tier, kind) for tier in Tier for kind in Kind]
        rules = (
            sorted(self.protected_classes),
            self.max_protected_height,
            sorted(self.protected_zones),
            sorted(self.permitted_classes),
        )
        return hashlib.sha256(repr((levels, rules)).encode()).hexdigest()[:16]


def read_policy(path: Path) -> PrivacyPolicy:
    """Read a policy file; config/privacy.yaml shows its form.

    What is left out of it: no level above metadata, no rule, `person` protected.

    Raises:
        UserError: The file is missing or not such a file, or has a name or a value that no policy
            has; it says which.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read the privacy policy {path}: {error}") from error
    try:
        return _policy(content)
    except ValueError as error:
        raise UserError(f"privacy policy {path}: {error}; see config/privacy.yaml") from error


def _policy(content: Any) -> PrivacyPolicy:
    values = _mapping(content, "the file")
    levels = dict.fromkeys(Tier, Level.METADATA)
    kinds: dict[tuple[Tier, Kind], Level] = {}
    for tier_name, of_tier in _mapping(values.pop("levels", {}), "levels").items():
        tier = _member(Tier, tier_name, "levels")
        for kind_name, level_name in _mapping(of_tier, f"levels: {tier.value}").items():
            where = f"levels: {tier.value}: {kind_name}"
            level = _level(level_name, where)
            if kind_name == "default":
                levels[tier] = level
            else:
                kinds[tier, _member(Kind, kind_name, f"levels: {tier.value}")] = level
    rules: dict[str, Any] = {}
    for name in ("protected_classes", "permitted_classes"):
        if name in values:
            rules[name] = tuple(_list(values.pop(name), name, str))
    if "max_protected_height" in values:
        rules["max_protected_height"] = _number(
            values.pop("max_protected_height"), "max_protected_height"
        )
    zones: list[Zone] = []
    for zone in _list(values.pop("protected_zones", []), "protected_zones", list):
        if len(zone) != 4:
            raise ValueError(f"protected_zones: {zone} has not four numbers")
        left, top, right, bottom = (_number(edge, "protected_zones") for edge in zone)
        zones.append((left, top, right, bottom))
    if values:
        raise ValueError(f"no such setting: {', '.join(map(str, values))}")
    return PrivacyPolicy(levels, kinds, protected_zones=tuple(zones), **rules)


def _mapping(content: Any, where: str) -> dict[Any, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"{where}: {content!r} where settings by name are expected")
    return dict(content)


def _list(content: Any, where: str, kind: type) -> list[Any]:
    if not isinstance(content, list) or not all(isinstance(item, kind) for item in content):
        raise ValueError(f"{where}: {content!r} is no list of {kind.__name__}")
    return content


def _number(content: Any, where: str) -> float:
    if isinstance(content, bool) or not isinstance(content, (int, float)):
        raise ValueError(f"{where}: {content!r} is no number")
    return float(content)


Member = TypeVar("Member", bound=Enum)


def _member(kind: type[Member], name: Any, where: str) -> Member:
    try:
        return kind(name)
    except ValueError:
        known = ", ".join(str(item.value) for item in kind)
        raise ValueError(f"{where}: {name!r} is none of {known}") from None


def _level(name: Any, where: str) -> Level:
    for level in Level:
        if level.name.lower() == name:
            return level
    known = ", ".join(level.name.lower() for level in Level)
    raise ValueError(f"{where}: {name!r} is none of {known}")
