"""What our detectors are made from, and how one is made: rendered, trained, quantized, measured."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.detector import Detector
from edge_robot.perception.evaluation import (
    COCO_IOUS,
    average_precision,
    mean_average_precision,
)
from edge_robot.perception.model_card import ModelCard
from edge_robot.perception.preprocessing import letterbox, to_tensor
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.export import export_onnx, quantize
from edge_robot.perception.training.network import STRIDES, Shape
from edge_robot.perception.training.rendering import CLASSES, render
from edge_robot.perception.training.trainer import train

Report = Callable[[str], None]

PERSON_RANGE = 10.0
"""Distance within which finding people is measured by itself, m."""

_MAX_LOSS = 0.02
"""mAP50 that int8 may cost."""
_CALIBRATION_IMAGES = 200


@dataclass(frozen=True)
class Recipe:
    """One detector.

    Attributes:
        shape: Widths and depths of the network.
        width: Input width, px.
        height: Input height, px.
        steps: Batches it is trained on.
        refines: Recipe of the same shape whose weights it starts from: what is learnt at one
            resolution is most of what another needs.
        about: What it is for.
    """

    shape: Shape
    width: int
    height: int
    steps: int
    refines: str | None
    about: str


_SHAPE = Shape((16, 32), (64, 96, 128), (2, 2, 2, 2), 64)

RECIPES = {
    "warehouse_edge": Recipe(_SHAPE, 320, 240, 3000, None, "onboard detector"),
    "warehouse_fleet": Recipe(
        _SHAPE, 480, 360, 1000, "warehouse_edge", "the fleet backend's detector"
    ),
}

# Far apart, so that no world is used twice however many are asked for.
_SEEDS = {"training": 100_000, "calibration": 800_000, "scoring": 900_000}


def make(
    name: str,
    target: Path,
    work: Path,
    *,
    worlds: int,
    scoring_worlds: int,
    steps: int | None,
    seed: int,
    start: Path | None,
    report: Report,
) -> Path:
    """Make a detector and its card, and return the model's path.

    Args:
        name: A key of `RECIPES`.
        target: Folder the model and its card are written to.
        work: Folder for rendered images and intermediate files; images found there are reused.
        worlds: Worlds rendered for training.
        scoring_worlds: Worlds rendered for scoring, never seen in training or calibration.
        steps: Batches of training; the recipe's by default.
        seed: Seed of everything drawn at random.
        start: Weights to refine; by default those of the recipe it refines, if any.
        report: Called with lines for the user.

    Raises:
        UserError: there is no such recipe, or no weights to refine.
    """
    if name not in RECIPES:
        raise UserError(f"no recipe for {name}; there are {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    steps = recipe.steps if steps is None else steps
    if start is None and recipe.refines is not None:
        start = work / f"{recipe.refines}.pt"
    weights = None if start is None else _weights(start)
    training = _images("training", worlds, work, report)
    calibration = _images("calibration", 20, work, report)
    scoring = _images("scoring", scoring_worlds, work, report)

    started = time.monotonic()
    network = train(
        training,
        recipe.shape,
        recipe.width,
        recipe.height,
        steps=steps,
        seed=seed,
        start=weights,
        report=lambda p: report(
            f"step {p.step}/{p.steps}: loss {p.loss:.3f}, {time.monotonic() - started:.0f} s"
        ),
    )
    torch.save(network.state_dict(), work / f"{name}.pt")
    full, small = work / f"{name}_fp32.onnx", work / f"{name}_int8.onnx"
    export_onnx(network, recipe.width, recipe.height, full)
    card = ModelCard(
        layout="yolox",
        classes=CLASSES,
        width=recipe.width,
        height=recipe.height,
        strides=STRIDES,
        score_threshold=0.3,  # fusion would rather refute a false person than miss one
        licence="Apache-2.0",
        source=f"edge-robot train {name}: {recipe.about}",
    )
    quantize(full, small, _tensors(calibration, card))
    figures = {
        "fp32": measure(Detector(full, card=card, min_score=0.01), scoring),
        "int8": measure(Detector(small, card=card, min_score=0.01), scoring),
    }
    for kind, values in figures.items():
        report(f"{kind}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    loss = figures["fp32"]["map50"] - figures["int8"]["map50"]
    faster = figures["int8"]["latency_ms"] < figures["fp32"]["latency_ms"]
    kind = "int8" if loss <= _MAX_LOSS and faster else "fp32"
    report(f"{kind} ships: int8 costs {loss:.3f} mAP50 and is {'' if faster else 'not '}faster")

    content = (small if kind == "int8" else full).read_bytes()
    path = target / f"{name}.onnx"
    target.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    card = replace(
        card,
        sha256=hashlib.sha256(content).hexdigest(),
        figures={
            "arithmetic": kind,
            **figures,
            "scored_on": f"{len(scoring)} images of {scoring_worlds} worlds not trained on",
            "trained_on": f"{len(training)} images of {worlds} worlds, {steps} steps"
            + ("" if start is None else f", refining the weights of {start.name}"),
            "seed": seed,
            "date": datetime.date.today().isoformat(),
        },
    )
    card.write(path.with_suffix(".yaml"))
    return path


def measure(detector: Detector, scoring: Dataset) -> dict[str, Any]:
    """Measure a detector's accuracy on a set, and its latency on one thread.

    Returns:
        `map50`, `map50_95`, `person_ap50` within `PERSON_RANGE`, `ap50` per class, and
        `latency_ms`, the median over the set of everything from image to detections.
    """
    found, elapsed = [], []
    detector.warm_up()
    for image in scoring.images:
        start = time.perf_counter()
        found.append(detector.detect(np.asarray(image)))
        elapsed.append(time.perf_counter() - start)
    truth = [scoring.truth(index) for index in range(len(scoring))]
    near = [scoring.truth(index, within=PERSON_RANGE) for index in range(len(scoring))]

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 3)

    return {
        "map50": rounded(mean_average_precision(found, truth)),
        "map50_95": rounded(mean_average_precision(found, truth, COCO_IOUS)),
        f"person_ap50_within_{PERSON_RANGE:.0f}_m": rounded(
            average_precision(found, near, CLASSES.index("person"), 0.5)
        ),
        "ap50": {
            name: rounded(average_precision(found, truth, index, 0.5))
            for index, name in enumerate(CLASSES)
        },
        "latency_ms": round(1e3 * float(np.median(elapsed)), 1),
    }


def _weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights an earlier run has left."""
    if not path.is_file():
        raise UserError(f"no weights {path} to refine; run `edge-robot train {path.stem}` first")
    return torch.load(path, weights_only=True)


def _images(purpose: str, worlds: int, work: Path, report: Report) -> Dataset:
    """Render a set, or read it where an earlier run has left it."""
    folder = work / f"{purpose}_{worlds}"
    if not (folder / "labels.npz").is_file():
        first = _SEEDS[purpose]
        seeds = range(first, first + worlds)
        render(seeds, lambda done: report(f"{purpose}: rendered {done} of {worlds} worlds")).save(
            folder
        )
    return Dataset.load(folder)


def _tensors(dataset: Dataset, card: ModelCard) -> Iterator[NDArray[np.float32]]:
    """Yield calibration inputs, prepared as the detector prepares its images."""
    for index in np.linspace(0, len(dataset) - 1, _CALIBRATION_IMAGES).astype(int):
        image, _ = letterbox(dataset.images[index], card.width, card.height, card.pad)
        yield to_tensor(image, card.mean, card.std, swap_channels=False)
