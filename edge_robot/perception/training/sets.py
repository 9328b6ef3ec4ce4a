"""What a detector is trained, calibrated and scored on: rendered worlds, or one's own images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.labelled_images import (
    LabelledImage,
    read_labelled_images,
    read_names,
    split,
)
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.rendering import render

CALIBRATION_WORLDS = 20

# Far apart, so that no world is used twice however many are asked for.
_SEEDS = {"training": 100_000, "calibration": 800_000, "scoring": 900_000}
_PART = 10
"""Worlds that one process renders and writes: an interruption costs no more than these of each."""

_SCORED = 0.2
"""Part of one's own images kept for scoring."""
_SPARE = 1.5
"""Size of training images in memory relative to the network's input: crops are zoomed in."""


@dataclass(frozen=True)
class Sets:
    """Images for one detector; none that is scored is trained on or calibrated with.

    Attributes:
        training: To learn from.
        calibration: To quantize with.
        scoring: To measure on.
        trained_on: What `training` is, for the model card.
        scored_on: What `scoring` is, for the model card.
    """

    training: Dataset
    calibration: Dataset
    scoring: Dataset
    trained_on: str
    scored_on: str


def rendered(
    work: Path, worlds: int, scoring_worlds: int, report: Callable[[str], None], workers: int
) -> Sets:
    """Render images of simulated warehouses, or take those an earlier run has rendered.

    Args:
        work: Folder they are kept in.
        worlds: Worlds for training.
        scoring_worlds: Worlds for scoring.
        report: Called with lines for the user.
        workers: Processes that render.
    """
    training = _worlds("training", worlds, work, report, workers)
    scoring = _worlds("scoring", scoring_worlds, work, report, workers)
    return Sets(
        training,
        _worlds("calibration", CALIBRATION_WORLDS, work, report, workers),
        scoring,
        f"{len(training)} images of {worlds} rendered worlds",
        f"{len(scoring)} images of {scoring_worlds} rendered worlds not trained on",
    )


def own(images: Path, labels: Path, width: int, height: int, seed: int) -> Sets:
    """Read one's own images with YOLO labels; a fifth of them, drawn at random, is for scoring.

    Args:
        images: Folder of JPEG and PNG files.
        labels: Folder of label files, with `names.txt`.
        width: Width of the network's input, px.
        height: Height of the network's input, px.
        seed: Seed of the draw.

    Raises:
        UserError: there are no such images, or too few; says what to do.
    """
    classes = read_names(labels)
    found = read_labelled_images(images, labels, classes)
    kept = max(1, round(_SCORED * len(found)))
    scored, learnt = split(found, [kept, max(1, len(found) - kept)], seed)
    training = _shrunk(learnt, classes, round(_SPARE * width), round(_SPARE * height))
    return Sets(
        training,
        training,
        Dataset(_Files(scored), _rows(scored, np.ones(len(scored))), _none(scored), tuple(classes)),
        f"{len(learnt)} images of {images.name}",
        f"{len(scored)} images of {images.name} not trained on",
    )


class _Files(Sequence[NDArray[np.uint8]]):
    """Images read when they are looked at: at their full size they may not fit into memory."""

    def __init__(self, images: Sequence[LabelledImage]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:  # type: ignore[override]
        return self._images[index].read()


def _shrunk(
    found: Sequence[LabelledImage], classes: Sequence[str], width: int, height: int
) -> Dataset:
    """Read images, none larger than it need be to train on."""
    images, scales = [], np.ones(len(found))
    for index, item in enumerate(found):
        image = item.read()
        scales[index] = min(1.0, max(width / image.shape[1], height / image.shape[0]))
        if scales[index] < 1.0:
            image = cv2.resize(
                image, None, fx=scales[index], fy=scales[index], interpolation=cv2.INTER_AREA
            )
        images.append(image)
    return Dataset(images, _rows(found, scales), _none(found), tuple(classes))


def _rows(found: Sequence[LabelledImage], scales: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the label rows of a `Dataset` of these images, resized by these factors."""
    rows = [
        (index, class_id, *(box * scales[index]), 0.0)
        for index, item in enumerate(found)
        for class_id, box in zip(item.labels.class_ids, item.labels.boxes, strict=True)
    ]
    return np.array(rows, np.float32).reshape(-1, 7)


def _none(found: Sequence[LabelledImage]) -> NDArray[np.bool_]:
    """Return that no label is to be ignored."""
    return np.zeros(sum(len(item.labels.boxes) for item in found), np.bool_)


def _worlds(
    purpose: str, count: int, work: Path, report: Callable[[str], None], workers: int
) -> Dataset:
    """Render images of `count` worlds, part by part, or read what an earlier run has left."""
    parts: dict[Path, range] = {}
    for first in range(0, count, _PART):
        last = min(first + _PART, count)
        folder = work / purpose / f"{first}_{last - first}"
        parts[folder] = range(_SEEDS[purpose] + first, _SEEDS[purpose] + last)
    missing = {folder: seeds for folder, seeds in parts.items() if not folder.is_dir()}
    done = count - sum(map(len, missing.values()))
    # Started anew, not forked: OpenGL's state does not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_render, seeds, folder): seeds for folder, seeds in missing.items()}
        for part in as_completed(running):
            part.result()
            done += len(running[part])
            report(f"{purpose}: rendered {done} of {count} worlds")
    return Dataset.join([Dataset.load(folder) for folder in parts])


def _render(seeds: range, folder: Path) -> None:
    """Render worlds and write them."""
    render(seeds).save(folder)
