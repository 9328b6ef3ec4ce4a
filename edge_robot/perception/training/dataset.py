"""A set of labelled images to train or score on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.evaluation import Labels


@dataclass(frozen=True)
class Dataset:
    """Images with the objects visible in them.

    Attributes:
        images: K images, (H, W, 3) uint8 BGR, of one size (as an array mapped from disk) or many.
        labels: (L, 7) float32 rows: image, class, x1 y1 x2 y2 (px), distance (m; 0 if not known).
        ignore: (L,) bool: too little of the object shows to ask for it.
        classes: Class names.
    """

    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
    labels: NDArray[np.float32]
    ignore: NDArray[np.bool_]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Index the label rows by image."""
        starts = np.searchsorted(self.labels[:, 0], np.arange(len(self.images) + 1))
        object.__setattr__(self, "_starts", starts)

    _starts: NDArray[np.int64] = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, index: int) -> slice:
        """Return which rows of `labels` belong to an image."""
        return slice(int(self._starts[index]), int(self._starts[index + 1]))

    def truth(self, index: int, *, within: float = np.inf) -> Labels:
        """Return an image's labels; those further away than `within` m are to be ignored."""
        rows = self.rows(index)
        labels = self.labels[rows]
        return Labels(
            labels[:, 2:6],
            labels[:, 1].astype(np.int64),
            self.ignore[rows] | (labels[:, 6] > within),
        )

    def save(self, folder: Path) -> None:
        """Write a set of images of one size; `load` reads it back.

        An interruption leaves no folder of that name.
        """
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        np.save(partial / "images.npy", self.images)
        np.savez(
            partial / "labels.npz", labels=self.labels, ignore=self.ignore, classes=self.classes
        )
        partial.rename(folder)

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read a set, images mapped and not read."""
        stored = np.load(folder / "labels.npz")
        classes = tuple(str(name) for name in stored["classes"])
        images = np.load(folder / "images.npy", mmap_mode="r")
        return cls(images, stored["labels"], stored["ignore"], classes)

    @classmethod
    def join(cls, parts: Sequence[Dataset]) -> Dataset:
        """Return one set of all images of some sets with the same classes, without copying them."""
        images = [image for part in parts for image in part.images]
        labels, before = [], 0
        for part in parts:
            labels.append(part.labels + np.array([before, *[0] * 6], np.float32))
            before += len(part)
        ignore = np.concatenate([part.ignore for part in parts])
        return cls(images, np.concatenate(labels), ignore, parts[0].classes)
