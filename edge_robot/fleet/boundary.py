"""The one place where anything is cleared to leave the robot.

Encoders and senders take `Cleared` only, and only `Boundary.clear` makes one. Where nothing can be
said about an image (nobody looked at it on board) and any rule exists, it stays.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any, Generic, TypeVar, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.fleet.privacy_policy import Kind, Level, PrivacyPolicy, Tier
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected

Payload = TypeVar("Payload")
_SEAL = object()

_MARGIN = 0.15
"""By how much of its size a box is widened before it is blurred: boxes are not exact."""
_CELLS = (4, 8)
"""Most cells, across and down, that are left of a blurred object: they hold no face."""
_CELL_SIZE = 8
"""Least width and height of a cell, px, where the object is larger."""


@dataclass(frozen=True)
class Picture:
    """A whole image, and what is known to be in it.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        found: What the onboard detector found in it; None if it has not looked.
        expected: Where tracks let expect objects; None where that is not known.
    """

    image: NDArray[np.uint8]
    found: Detections | None
    expected: Expected | None = None


@dataclass(frozen=True)
class Regions:
    """Parts of an image.

    Attributes:
        picture: The image.
        boxes: (N, 4) int, x1 y1 x2 y2 in pixels of the image, inside it, none without area.
    """

    picture: Picture
    boxes: NDArray[np.int64]


@dataclass(frozen=True)
class Data(Generic[Payload]):
    """What holds no image that could still be blurred.

    Attributes:
        payload: Whatever it is.
        level: How much it reveals.
        policy: `Cleared.policy` of the images in it, if they were cleared before it was stored;
            empty where there are none, or they were not.
    """

    payload: Payload
    level: Level
    policy: str = ""


@dataclass(frozen=True)
class Crop:
    """Pixels cut out of an image.

    Attributes:
        x: Left edge in the image, px.
        y: Top edge in the image, px.
        pixels: (H, W, 3) uint8, BGR.
    """

    x: int
    y: int
    pixels: NDArray[np.uint8]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Where it is in the image: x1 y1 x2 y2, px."""
        height, width = self.pixels.shape[:2]
        return self.x, self.y, self.x + width, self.y + height


@dataclass(frozen=True)
class Cleared(Generic[Payload]):
    """What may leave the robot, for one tier. Only `Boundary.clear` makes it.

    Attributes:
        value: What may be sent.
        kind: What for.
        tier: Who may receive it.
        level: How much it reveals.
        policy: Digest of the policy it was cleared under.
    """

    value: Payload
    kind: Kind
    tier: Tier
    level: Level
    policy: str
    _seal: InitVar[object]

    def __post_init__(self, _seal: object) -> None:
        if _seal is not _SEAL:
            raise TypeError("only Boundary.clear says what may leave the robot")


@dataclass(frozen=True)
class Withheld:
    """What stays on the robot.

    Attributes:
        reason: Why.
    """

    reason: str


class Boundary:
    """Clears things to leave the robot as a policy says. Thread-safe.

    Args:
        policy: What may leave.
    """

    def __init__(self, policy: PrivacyPolicy) -> None:
        self.policy = policy
        self._digest = policy.digest
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Tier, Kind, str]] = Counter()

    @overload
    def clear(
        self, kind: Kind, content: Picture, tier: Tier
    ) -> Cleared[NDArray[np.uint8]] | Withheld: ...
    @overload
    def clear(
        self, kind: Kind, content: Regions, tier: Tier
    ) -> Cleared[tuple[Crop, ...]] | Withheld: ...
    @overload
    def clear(
        self, kind: Kind, content: Data[Payload], tier: Tier
    ) -> Cleared[Payload] | Withheld: ...
    def clear(
        self, kind: Kind, content: Picture | Regions | Data[Any], tier: Tier
    ) -> Cleared[Any] | Withheld:
        """Say whether something may leave, and in what form.

        Args:
            kind: What it leaves for.
            content: What it is. Of regions, those that rules object to are left out.
            tier: Who receives it.
        """
        limit = self.policy.level(tier, kind)
        if isinstance(content, Data):
            result = self._data(content, limit)
        elif limit < Level.BLURRED:
            result = f"images: no more than {limit.name.lower()} may leave"
        elif isinstance(content, Picture):
            result = self._picture(content, limit)
        else:
            result = self._regions(content, limit)
        reason = result if isinstance(result, str) else ""
        with self._lock:
            self._counts[tier, kind, reason] += 1
        if isinstance(result, str):
            return Withheld(result)
        value, level = result
        return Cleared(value, kind, tier, level, self._digest, _SEAL)

    def counts(self) -> dict[tuple[Tier, Kind, str], int]:
        """Return how often something was cleared (an empty reason) or withheld, and why."""
        with self._lock:
            return dict(self._counts)

    def _data(self, data: Data[Any], limit: Level) -> tuple[Any, Level] | str:
        if data.level > limit:
            return f"{data.level.name.lower()}: no more than {limit.name.lower()} may leave"
        free = limit is Level.RAW and not self.policy.has_rules
        if data.level >= Level.BLURRED and data.policy != self._digest and not free:
            return "cleared under another policy" if data.policy else "images never looked at"
        return data.payload, data.level

    def _picture(self, picture: Picture, limit: Level) -> tuple[Any, Level] | str:
        if picture.found is None:
            if self.policy.has_rules or limit < Level.RAW:
                return "not looked at on board"
            return picture.image, Level.RAW
        objects = _Objects.of(picture, self.policy.protected_classes)
        objection = objects.objection(self.policy)
        if objection:
            return objection
        if limit is Level.RAW:
            return picture.image, Level.RAW
        return objects.blurred(picture.image), Level.BLURRED

    def _regions(self, regions: Regions, limit: Level) -> tuple[Any, Level] | str:
        picture = regions.picture
        if picture.found is None:
            return "not looked at on board"
        objects = _Objects.of(picture, self.policy.protected_classes)
        objections = [objects.within(box).objection(self.policy) for box in regions.boxes]
        kept = regions.boxes[[not objection for objection in objections]]
        if not len(kept):
            return next(iter(objections), "no region")
        blur = limit < Level.CROPS
        image = objects.blurred(picture.image) if blur else picture.image
        crops = tuple(Crop(x1, y1, image[y1:y2, x1:x2]) for x1, y1, x2, y2 in kept.tolist())
        return crops, Level.BLURRED if blur else Level.CROPS


@dataclass(frozen=True)
class _Objects:
    """What is, or may be, in an image.

    Attributes:
        boxes: (N, 4) float64, x1 y1 x2 y2, px.
        labels: Class of each.
        protected: (N,) whether it is to be protected.
        size: Width, height of the image, px.
    """

    boxes: NDArray[np.float64]
    labels: tuple[str, ...]
    protected: NDArray[np.bool_]
    size: tuple[int, int]

    @classmethod
    def of(cls, picture: Picture, protected_classes: Sequence[str]) -> _Objects:
        """Return what was found in a picture on board, and what tracks let expect in it."""
        assert picture.found is not None
        boxes = [np.asarray(picture.found.boxes, float).reshape(-1, 4)]
        labels = tuple(picture.found.labels)
        if picture.expected is not None:
            boxes.append(np.asarray(picture.expected.boxes, float).reshape(-1, 4))
            labels += picture.expected.labels
        height, width = picture.image.shape[:2]
        protected = np.array([label in protected_classes for label in labels], bool)
        return cls(np.concatenate(boxes), labels, protected, (width, height))

    def within(self, region: NDArray[np.int64]) -> _Objects:
        """Return those that touch a region, or would if their boxes were a little larger.

        One that is nowhere (not finite) may be in any.
        """
        x1, y1, x2, y2 = self._widened().T
        left, top, right, bottom = region
        here = ~((x1 >= right) | (x2 <= left) | (y1 >= bottom) | (y2 <= top))
        labels = tuple(label for label, is_here in zip(self.labels, here, strict=True) if is_here)
        return _Objects(self.boxes[here], labels, self.protected[here], self.size)

    def objection(self, policy: PrivacyPolicy) -> str:
        """Return why an image that holds these must stay; empty where it need not."""
        if not np.isfinite(self.boxes[self.protected]).all():
            return "a protected object that is nowhere"
        if policy.permitted_classes and not set(self.labels) <= set(policy.permitted_classes):
            return "a class that is not permitted"
        x1, y1, x2, y2 = (self.boxes[self.protected] / (self.size * 2)).T
        if np.any(y2 - y1 > policy.max_protected_height):
            return "a protected object too large"
        for left, top, right, bottom in policy.protected_zones:
            if np.any((x1 < right) & (x2 > left) & (y1 < bottom) & (y2 > top)):
                return "a protected object in a zone"
        return ""

    def blurred(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an image with the protected ones unrecognisable; the image itself is not changed.

        Means over cells cannot be sharpened back, as a Gaussian blur can.
        """
        if not self.protected.any():
            return image
        result = image.copy()
        widened = self._widened()[self.protected]
        low = np.floor(widened[:, :2]).clip(0, self.size).astype(int).tolist()
        high = np.ceil(widened[:, 2:]).clip(0, self.size).astype(int).tolist()
        for (left, top), (right, bottom) in zip(low, high, strict=True):
            part = result[top:bottom, left:right]
            if part.size:
                rows, columns = part.shape[:2]
                most_across, most_down = _CELLS
                across = min(most_across, max(1, columns // _CELL_SIZE))
                down = min(most_down, max(1, rows // _CELL_SIZE))
                cells = cv2.resize(part, (across, down), interpolation=cv2.INTER_AREA)
                result[top:bottom, left:right] = cv2.resize(
                    cells, (columns, rows), interpolation=cv2.INTER_NEAREST
                )
        return result

    def _widened(self) -> NDArray[np.float64]:
        spare = _MARGIN * (self.boxes[:, 2:] - self.boxes[:, :2])
        return np.hstack([self.boxes[:, :2] - spare, self.boxes[:, 2:] + spare])
