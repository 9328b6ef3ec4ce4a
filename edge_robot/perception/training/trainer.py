"""The training loop."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_robot.errors import UserError
from edge_robot.perception.decoders.grid import grid
from edge_robot.perception.training.augmentation import vary
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.losses import Targets, loss
from edge_robot.perception.training.network import STRIDES, Detector, Shape

_BATCH = 16
_WARM_UP = 300  # steps; a tenth of a short run
_WEIGHT_DECAY = 0.02
_COMMON = 0.3
"""Part of the images from which a class counts as common."""
_PLAIN_END = 0.1
"""Part of the steps, at the end, on images placed as they are in use: only flipped and relit."""
_REPORT_STEPS = 50
_CHECKPOINT_STEPS = 200


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Mean loss since the last report.
        left: Estimate of the time still needed, s.
    """

    step: int
    steps: int
    loss: float
    left: float

    def __str__(self) -> str:
        """Say it in a line for the user."""
        minutes, seconds = divmod(round(self.left), 60)
        return (
            f"step {self.step} of {self.steps}, loss {self.loss:.3f}, "
            f"{minutes}:{seconds:02d} min left"
        )


def train(
    dataset: Dataset,
    shape: Shape,
    width: int,
    height: int,
    *,
    steps: int,
    rate: float,
    seed: int,
    start: Mapping[str, Tensor] | None,
    checkpoint: Path | None,
    report: Callable[[Progress], None],
) -> Detector:
    """Train a network and return the moving average of its weights.

    Batches depend on seed and step alone, so that a run continued from its checkpoint ends in the
    same weights as one that was never interrupted.

    Args:
        dataset: Training images.
        shape: Widths and depths of the network.
        width: Input width, px.
        height: Input height, px.
        steps: Batches of 16 images.
        rate: Peak learning rate.
        seed: Of weights, order and augmentation.
        start: Weights to refine; None for random ones.
        checkpoint: File written every 200 steps; where it exists, training continues from it.
            None for a short run.
        report: Called every 50 steps.

    Raises:
        UserError: the checkpoint is not of this run.
    """
    torch.manual_seed(seed)
    network = Detector(shape, len(dataset.classes)).to(memory_format=torch.channels_last)
    if start is not None:
        network.load_state_dict(start)
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(_groups(network), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    run = {"shape": repr(shape), "size": [width, height], "steps": steps, "rate": rate}
    run |= {"seed": seed, "images": len(dataset), "classes": list(dataset.classes)}
    parts = {"network": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    done = 0 if checkpoint is None else _continue(checkpoint, run, parts)
    cells = torch.from_numpy(grid(width, height, STRIDES))
    chances = _chances(dataset)
    losses: list[float] = []
    started = time.monotonic()
    with ThreadPoolExecutor(1) as loader:  # OpenCV releases the interpreter lock: prepare ahead

        def prepare(step: int) -> Future[tuple[Tensor, Targets]]:
            return loader.submit(_batch, dataset, chances, width, height, seed, step, steps)

        pending = prepare(done)
        for step in range(done + 1, steps + 1):
            images, targets = pending.result()
            if step < steps:
                pending = prepare(step)
            # bfloat16 halves the time on CPUs that have it, and needs no loss scaling.
            with torch.autocast("cpu", torch.bfloat16):
                raw = network(images)
            value = loss(raw.float(), cells, targets)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            _follow(average, network, step)
            losses.append(value.item())
            if step % _REPORT_STEPS == 0 or step == steps:
                pace = (time.monotonic() - started) / (step - done)
                report(Progress(step, steps, float(np.mean(losses)), pace * (steps - step)))
                losses.clear()
            if checkpoint is not None and step % _CHECKPOINT_STEPS == 0:
                _keep(checkpoint, step, run, parts)
    return average


def _keep(path: Path, step: int, run: dict[str, Any], parts: Mapping[str, Any]) -> None:
    """Write a checkpoint; an interruption leaves the previous one whole."""
    partial = path.with_name(f"{path.name}.partial")
    states = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"step": step, "run": run, **states}, partial)
    partial.replace(path)


def _continue(path: Path, run: dict[str, Any], parts: Mapping[str, Any]) -> int:
    """Load a checkpoint if there is one, and return how many steps were done.

    Raises:
        UserError: it is of another run.
    """
    if not path.is_file():
        return 0
    stored = torch.load(path, weights_only=True)
    other = [key for key in run if stored["run"].get(key) != run[key]]
    if other:
        raise UserError(
            f"{path} is of an unfinished run with other {', '.join(other)} "
            f"({', '.join(str(stored['run'].get(key)) for key in other)}); "
            "give the same options to finish it, or delete it"
        )
    for name, part in parts.items():
        part.load_state_dict(stored[name])
    return int(stored["step"])


def _rate(step: int, steps: int) -> float:
    """Return the learning rate relative to its peak: linear warm-up, then a cosine to 1 %."""
    warm = min(1.0, (step + 1) / min(_WARM_UP, 1 + steps // 10))
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / steps))))


def _groups(network: Detector) -> list[dict[str, object]]:
    """Decay the convolutions' weights, not biases and normalisation."""
    weights = [item for item in network.parameters() if item.ndim > 1]
    others = [item for item in network.parameters() if item.ndim <= 1]
    return [
        {"params": weights, "weight_decay": _WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]


@torch.no_grad()
def _follow(average: Detector, network: Detector, step: int) -> None:
    """Move the average towards the network: quickly at first, then over about 1000 steps."""
    part = 1.0 - min(0.999, (1.0 + step) / (10.0 + step))
    for slow, fast in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if slow.dtype.is_floating_point:
            slow.lerp_(fast, part)
        else:
            slow.copy_(fast)


def _chances(dataset: Dataset) -> NDArray[np.float64]:
    """Return how often each image is drawn: more often where it shows a rare class.

    The repeat factor of LVIS (2019): the root of how far the rarest class shown is below `_COMMON`.
    """
    factors = np.ones(len(dataset))
    wanted = dataset.labels[~dataset.ignore]
    for class_id in range(len(dataset.classes)):
        shown = np.unique(wanted[wanted[:, 1] == class_id, 0].astype(int))
        part = max(1, len(shown)) / len(dataset)
        factors[shown] = np.maximum(factors[shown], math.sqrt(_COMMON / part))
    return factors / factors.sum()


def _batch(
    dataset: Dataset,
    chances: NDArray[np.float64],
    width: int,
    height: int,
    seed: int,
    step: int,
    steps: int,
) -> tuple[Tensor, Targets]:
    """Make the batch of a step; the same arguments always give the same batch."""
    rng = np.random.default_rng((seed, step))
    plain = step >= (1.0 - _PLAIN_END) * steps
    order = rng.choice(len(dataset), _BATCH, replace=len(dataset) < _BATCH, p=chances)
    images = np.empty((_BATCH, 3, height, width), np.float32)
    samples = []
    for slot, index in enumerate(order):
        rows = dataset.rows(index)
        labels = dataset.labels[rows]
        image, boxes, ignore = vary(
            dataset.images[index], labels[:, 2:6], dataset.ignore[rows], width, height, plain, rng
        )
        images[slot] = image.transpose(2, 0, 1)
        kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
        samples.append((boxes[kept], labels[kept, 1].astype(np.int64), ignore[kept]))
    most = max(1, max(len(boxes) for boxes, _, _ in samples))
    padded = Targets(
        torch.zeros(_BATCH, most, 4),
        torch.zeros(_BATCH, most, dtype=torch.int64),
        torch.zeros(_BATCH, most, dtype=torch.bool),
        torch.zeros(_BATCH, most, dtype=torch.bool),
    )
    for slot, (boxes, class_ids, ignore) in enumerate(samples):
        count = len(boxes)
        padded.boxes[slot, :count] = torch.from_numpy(boxes)
        padded.class_ids[slot, :count] = torch.from_numpy(class_ids)
        padded.wanted[slot, :count] = torch.from_numpy(~ignore)
        padded.ignore[slot, :count] = torch.from_numpy(ignore)
    return torch.from_numpy(images).contiguous(memory_format=torch.channels_last), padded
