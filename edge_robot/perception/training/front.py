"""The accuracy–latency front: what widths, depths and kinds of convolution cost and bring.

Each variant is trained alike, for so few steps that the accuracies compare shapes and say nothing
of what any of them reaches in a full training. Latency does not depend on what was learnt: it is
measured of more variants than are trained.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from edge_robot.perception.detector import Detector
from edge_robot.perception.model_card import ModelCard
from edge_robot.perception.training.export import export_onnx, quantize
from edge_robot.perception.training.measuring import accuracy, detections, inference_ms
from edge_robot.perception.training.network import STRIDES, Shape
from edge_robot.perception.training.network import Detector as Network
from edge_robot.perception.training.recipes import RECIPES, calibration_tensors
from edge_robot.perception.training.sets import Sets
from edge_robot.perception.training.trainer import Progress, train
from edge_robot.perception.training.weights import read_weights, save_weights


def _shape(width: float, depths: tuple[int, int, int, int], *, depthwise: bool = False) -> Shape:
    """Scale the channels of the shape that ships, in steps of 8: vector registers are that wide."""

    def channels(count: int) -> int:
        return max(8, 8 * round(count * width / 8))

    stem, widths = (channels(16), channels(32)), (channels(64), channels(96), channels(128))
    return Shape(stem, widths, depths, channels(64), depthwise)


_BATCH = 16
_DEPTHS = (2, 2, 2, 2)
TRAINED = {
    "plain ×0.5": _shape(0.5, _DEPTHS),
    "plain ×0.75": _shape(0.75, _DEPTHS),
    "plain ×1": _shape(1.0, _DEPTHS),
    "plain ×1.25": _shape(1.25, _DEPTHS),
    "plain ×1 shallow": _shape(1.0, (1, 1, 1, 1)),
    "plain ×1 deep": _shape(1.0, (2, 3, 3, 3)),
    "depthwise ×1": _shape(1.0, _DEPTHS, depthwise=True),
    "depthwise ×2": _shape(2.0, _DEPTHS, depthwise=True),
}
"""Variants trained and measured; the one that ships is `plain ×1`."""

TIMED = {
    "plain ×1.5": _shape(1.5, _DEPTHS),
    "plain ×0.5 deep": _shape(0.5, (2, 3, 3, 3)),
    "depthwise ×0.5": _shape(0.5, _DEPTHS, depthwise=True),
    "depthwise ×1.5": _shape(1.5, _DEPTHS, depthwise=True),
}
"""Variants of which only the latency is measured."""


def measure_front(
    sets: Sets,
    work: Path,
    *,
    steps: int,
    rounds: int,
    seed: int,
    report: Callable[[str], None],
    device: torch.device,
    workers: int,
) -> dict[str, Any]:
    """Train and measure every variant.

    Args:
        sets: Images to train, calibrate and score on.
        work: Folder for weights and models; variants trained by an earlier run are found there.
        steps: Batches of 16 each variant is trained on.
        rounds: Runs of each model of which the latency is the median.
        seed: Of weights and order.
        report: Called with lines for the user.
        device: Where to train; latency is always the CPU's.
        workers: Processes that prepare batches.

    Returns:
        `steps`, `seed`, `trained_on`, `scored_on`, `width`, `height` and `variants`: for each
        `name`, `depthwise`, `parameters` and, for `fp32` and `int8`, `inference_ms`, `kilobytes`
        and, where trained, `map50` and `map50_95`.
    """
    recipe = RECIPES["warehouse_edge"]
    card = ModelCard("yolox", sets.scoring.classes, recipe.width, recipe.height, strides=STRIDES)
    work.mkdir(parents=True, exist_ok=True)
    tensors = list(calibration_tensors(sets.calibration, card))
    models: dict[str, Path] = {}
    variants: list[dict[str, Any]] = []
    for name, shape in {**TRAINED, **TIMED}.items():

        def progress(stage: Progress, name: str = name) -> None:
            report(f"{name}: {stage}")

        stem = name.replace(" ", "_").replace("×", "x")
        network = Network(shape, len(card.classes))
        if name in TRAINED:
            weights = work / f"{stem}_{steps}_steps.pt"
            if not weights.is_file():
                checkpoint = work / f"{stem}.checkpoint"
                trained = train(
                    sets.training,
                    shape,
                    card.width,
                    card.height,
                    steps=steps,
                    batch=_BATCH,
                    rate=recipe.rate,
                    seed=seed,
                    start=None,
                    checkpoint=checkpoint,
                    report=progress,
                    device=device,
                    workers=workers,
                )
                save_weights(trained.network, sets.training.classes, weights)
                checkpoint.unlink(missing_ok=True)
            network.load_state_dict(read_weights(weights)[1])
        files = {kind: work / f"{stem}_{kind}.onnx" for kind in ("fp32", "int8")}
        export_onnx(network.eval(), card.width, card.height, files["fp32"])
        quantize(files["fp32"], files["int8"], tensors)
        variant: dict[str, Any] = {
            "name": name,
            "depthwise": shape.depthwise,
            "parameters": sum(item.numel() for item in network.parameters()),
        }
        for kind, path in files.items():
            variant[kind] = {"kilobytes": round(path.stat().st_size / 1000)}
            models[f"{name} {kind}"] = path
            if name in TRAINED:
                found = detections(Detector(path, card=card, min_score=0.01), sets.scoring)
                figures = accuracy(found, sets.scoring)
                variant[kind] |= {key: figures[key] for key in ("map50", "map50_95")}
                report(f"{name} {kind}: mAP50 {figures['map50']:.3f}")
        variants.append(variant)
    report(f"timing {len(models)} models, {rounds} runs each")
    elapsed = inference_ms(models, card.width, card.height, rounds)
    for variant in variants:
        for kind in ("fp32", "int8"):
            variant[kind]["inference_ms"] = elapsed[f"{variant['name']} {kind}"]
    return {
        "steps": steps,
        "seed": seed,
        "trained_on": sets.trained_on,
        "scored_on": sets.scored_on,
        "width": card.width,
        "height": card.height,
        "variants": variants,
    }
