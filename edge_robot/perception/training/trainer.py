"""The training loop."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_robot.perception.decoders.grid import grid
from edge_robot.perception.training.augmentation import vary
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.losses import Targets, loss
from edge_robot.perception.training.network import STRIDES, Detector, Shape

_BATCH = 16
_PEAK_RATE = 2e-3
_REFINING_RATE = 1e-3
_WARM_UP = 300  # steps
_WEIGHT_DECAY = 0.02
_COMMON = 0.3
"""Part of the images from which a class counts as common."""
_PLAIN_END = 0.1
"""Part of the steps, at the end, on images placed as they are in use: only flipped and relit."""


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Mean loss since the last report.
    """

    step: int
    steps: int
    loss: float


def train(
    dataset: Dataset,
    shape: Shape,
    width: int,
    height: int,
    *,
    steps: int,
    seed: int,
    start: Mapping[str, Tensor] | None,
    report: Callable[[Progress], None],
) -> Detector:
    """Train a network and return the moving average of its weights.

    Args:
        dataset: Training images.
        shape: Widths and depths of the network.
        width: Input width, px.
        height: Input height, px.
        steps: Batches of 16 images.
        seed: Of weights, order and augmentation.
        start: Weights to refine, at a lower rate; None for random ones.
        report: Called every 100 steps.
    """
    torch.manual_seed(seed)
    network = Detector(shape, len(dataset.classes)).to(memory_format=torch.channels_last)
    if start is not None:
        network.load_state_dict(start)
    average = copy.deepcopy(network).eval()
    peak = _PEAK_RATE if start is None else _REFINING_RATE
    optimiser = torch.optim.AdamW(_groups(network), lr=peak)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    cells = torch.from_numpy(grid(width, height, STRIDES))
    chances = _chances(dataset)
    losses: list[float] = []
    with ThreadPoolExecutor(1) as loader:  # OpenCV releases the interpreter lock: prepare ahead
        pending = loader.submit(_batch, dataset, chances, width, height, seed, 0, steps)
        for step in range(1, steps + 1):
            images, targets = pending.result()
            if step < steps:
                pending = loader.submit(_batch, dataset, chances, width, height, seed, step, steps)
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
            if step % 100 == 0 or step == steps:
                report(Progress(step, steps, float(np.mean(losses))))
                losses.clear()
    return average


def _rate(step: int, steps: int) -> float:
    """Return the learning rate relative to its peak: linear warm-up, then a cosine to 1 %."""
    warm = min(1.0, (step + 1) / _WARM_UP)
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
    order = rng.choice(len(dataset), _BATCH, replace=False, p=chances)
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
