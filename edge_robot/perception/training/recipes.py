"""What our detectors are made from, and how one is made: trained, quantized, measured."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_robot.perception import drift
from edge_robot.perception.detector import Detector
from edge_robot.perception.model_card import ModelCard
from edge_robot.perception.preprocessing import input_tensor
from edge_robot.perception.quantization.gate import Bounds, judge
from edge_robot.perception.quantization.results import write_pair
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.export import export_onnx, quantize
from edge_robot.perception.training.measuring import (
    accuracy,
    detections,
    end_to_end_ms,
    inference_ms,
)
from edge_robot.perception.training.network import STRIDES, Shape
from edge_robot.perception.training.sets import Sets
from edge_robot.perception.training.trainer import train
from edge_robot.perception.training.weights import save_weights, starting_weights

Report = Callable[[str], None]

FRONT = "docs/images/detector_front.svg"
"""Why the network has the shape it has, drawn by `edge-robot train-front`."""

_CALIBRATION_IMAGES = 200
_TIMED_IMAGES = 200
_SETTLING_IMAGES = 64
"""Enough for statistics of channels over all their pixels."""


@dataclass(frozen=True)
class Recipe:
    """One detector.

    Attributes:
        shape: Widths and depths of the network.
        width: Input width, px.
        height: Input height, px.
        steps: Batches it is trained on.
        batch: Images in each.
        rate: Peak learning rate.
        refines: Recipe of the same shape whose weights it starts from: what is learnt at one
            resolution is most of what another needs.
        about: What it is for.
    """

    shape: Shape
    width: int
    height: int
    steps: int
    batch: int
    rate: float
    refines: str | None
    about: str


_SHAPE = Shape((16, 32), (64, 96, 128), (2, 2, 2, 2), 64)

RECIPES = {
    "warehouse_edge": Recipe(_SHAPE, 320, 240, 12000, 64, 2e-3, None, "onboard detector"),
    "warehouse_fleet": Recipe(
        _SHAPE, 480, 360, 3500, 64, 1e-3, "warehouse_edge", "the fleet backend's detector"
    ),
}


def own_recipe(width: int, height: int) -> Recipe:
    """Return the recipe for one's own images."""
    return Recipe(_SHAPE, width, height, 3000, 16, 1e-3, None, "trained on one's own images")


def make(
    name: str,
    recipe: Recipe,
    sets: Sets,
    target: Path,
    work: Path,
    *,
    steps: int | None,
    seed: int,
    start: Path | None,
    report: Report,
    device: torch.device,
    workers: int = 1,
) -> Path:
    """Make a detector and its card, and return the model's path.

    A run that was interrupted goes on from its last checkpoint.

    Args:
        name: Of the detector.
        recipe: How it is made.
        sets: What it learns from and is measured on.
        target: Folder the model and its card are written to.
        work: Folder for checkpoints, weights and intermediate files.
        steps: Batches of training; the recipe's by default.
        seed: Seed of everything drawn at random.
        start: Weights to refine; by default those of the recipe it refines, if any.
        report: Called with lines for the user.
        device: Where to train; all is measured on the CPU.
        workers: Processes that prepare batches.

    Raises:
        UserError: there are no weights to refine, or the checkpoint is of another run.
    """
    steps = recipe.steps if steps is None else steps
    if start is None and recipe.refines is not None:
        start = work / f"{recipe.refines}.pt"
    classes = sets.training.classes
    card = ModelCard(
        layout="yolox",
        classes=classes,
        width=recipe.width,
        height=recipe.height,
        strides=STRIDES,
        score_threshold=0.3,  # fusion would rather refute a false person than miss one
        licence="Apache-2.0",
        source=f"edge-robot train {name}: {recipe.about}",
    )
    work.mkdir(parents=True, exist_ok=True)
    weights = None
    if start is not None:
        torch.manual_seed(seed)  # outputs of new classes start at random
        settling = _settling(sets.training, card)
        weights = starting_weights(start, recipe.shape, classes, settling)
    checkpoint = work / f"{name}.checkpoint"
    trained = train(
        sets.training,
        recipe.shape,
        recipe.width,
        recipe.height,
        steps=steps,
        batch=recipe.batch,
        rate=recipe.rate,
        seed=seed,
        start=weights,
        checkpoint=checkpoint,
        report=lambda progress: report(str(progress)),
        device=device,
        workers=workers,
    )
    save_weights(trained.network, classes, work / f"{name}.pt")
    files = {kind: work / f"{name}_{kind}.onnx" for kind in ("fp32", "int8")}
    export_onnx(trained.network, recipe.width, recipe.height, files["fp32"])
    report("quantizing")
    quantize(files["fp32"], files["int8"], calibration_tensors(sets.calibration, card))
    report(f"measuring on {sets.scored_on}")
    figures = measure(files, card, sets.scoring)
    for kind in files:
        report(f"{kind}: " + ", ".join(f"{key} {value}" for key, value in figures[kind].items()))
    kind = choose(figures)
    report(
        f"{kind} ships: int8 costs {figures['int8_costs_map50_95']:.4f} mAP "
        f"and is {figures['int8_speed_up']['end_to_end']:.2f} times as fast"
    )
    usual = detections(Detector(files[kind], card=card), sets.scoring)
    content = files[kind].read_bytes()
    trained_on = f"{sets.trained_on}, {steps} steps of {recipe.batch}"
    card = replace(
        card,
        sha256=hashlib.sha256(content).hexdigest(),
        figures={
            "arithmetic": kind,
            **figures,
            "scored_on": sets.scored_on,
            "trained_on": trained_on + ("" if start is None else f", refining {start.name}"),
            "trained_with": ", ".join(trained.devices),
            "training_minutes": round(trained.seconds / 60.0, 1),
            "front": FRONT,
            "seed": seed,
            drift.KEY: drift.reference(usual, card.score_threshold),
            "date": datetime.date.today().isoformat(),
        },
    )
    path = write_pair(target / f"{name}.onnx", content, card)
    checkpoint.unlink(missing_ok=True)
    return path


def measure(files: dict[str, Path], card: ModelCard, scoring: Dataset) -> dict[str, Any]:
    """Measure the fp32 and the int8 model on the same images, on one thread.

    Args:
        files: ONNX files, `fp32` and `int8`.
        card: Of both.
        scoring: Images neither trained on nor calibrated with.

    Returns:
        For `fp32` and `int8`: accuracy, `inference_ms` of the network alone, `latency_ms` from
        image to detections (medians, taking turns) and `kilobytes`; `int8_speed_up`,
        `int8_costs_map50_95`, and `frames_per_second` of int8 from image to detections.
    """
    figures: dict[str, Any] = {}
    for kind, path in files.items():
        found = detections(Detector(path, card=card, min_score=0.01), scoring)
        figures[kind] = accuracy(found, scoring)
    images = [scoring.images[index] for index in range(min(_TIMED_IMAGES, len(scoring)))]
    alone = inference_ms(files, card.width, card.height, _TIMED_IMAGES)
    whole = end_to_end_ms({kind: Detector(path, card=card) for kind, path in files.items()}, images)
    for kind, path in files.items():
        figures[kind] |= {
            "inference_ms": alone[kind],
            "latency_ms": whole[kind],
            "kilobytes": round(path.stat().st_size / 1000),
        }
    figures["int8_speed_up"] = {
        "inference": round(alone["fp32"] / alone["int8"], 2),
        "end_to_end": round(whole["fp32"] / whole["int8"], 2),
    }
    lost = figures["fp32"]["map50_95"] - figures["int8"]["map50_95"]
    figures["int8_costs_map50_95"] = round(lost, 4)
    figures["frames_per_second"] = round(1e3 / whole["int8"])
    return figures


def choose(figures: dict[str, Any]) -> str:
    """Return `int8` or `fp32`, by the gate of `edge-robot quantize` and its usual bounds."""
    loss = 100.0 * figures["int8_costs_map50_95"]
    return judge(loss, 1.0 / figures["int8_speed_up"]["end_to_end"], Bounds()).arithmetic


def calibration_tensors(dataset: Dataset, card: ModelCard) -> Iterator[NDArray[np.float32]]:
    """Yield calibration inputs, prepared as the detector prepares its images."""
    return _tensors(dataset, card, _CALIBRATION_IMAGES)


def _settling(dataset: Dataset, card: ModelCard) -> Tensor:
    """Return training inputs, (B, 3, H, W), for the statistics of a network read from ONNX."""
    return torch.from_numpy(np.concatenate(list(_tensors(dataset, card, _SETTLING_IMAGES))))


def _tensors(dataset: Dataset, card: ModelCard, count: int) -> Iterator[NDArray[np.float32]]:
    """Yield at most `count` inputs, spread over a set."""
    for index in np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int):
        yield input_tensor(dataset.images[index], card)
