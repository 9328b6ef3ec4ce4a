"""The batches a network is trained on, prepared by processes of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from edge_robot.perception.training.augmentation import vary
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.losses import Targets

Batch = tuple[Tensor, Targets]
"""(B, H, W, 3) uint8 BGR images, and what is to be found in them."""

_COMMON = 0.3
"""Part of the images from which a class counts as common."""
_PLAIN_END = 0.1
"""Part of the steps, at the end, on images placed as they are in use: only flipped and relit."""


class Batches(TorchDataset[Batch]):
    """The batch of each step of a run: it depends on seed and step alone.

    Args:
        dataset: Training images.
        size: Images per batch.
        width: Input width, px.
        height: Input height, px.
        seed: Of order and augmentation.
        steps: Batches in all.
    """

    def __init__(
        self, dataset: Dataset, size: int, width: int, height: int, *, seed: int, steps: int
    ) -> None:
        self._dataset = dataset
        self._chances = _chances(dataset)
        self._size, self._width, self._height = size, width, height
        self._seed, self._steps = seed, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        dataset, width, height = self._dataset, self._width, self._height
        rng = np.random.default_rng((self._seed, step))
        plain = step >= (1.0 - _PLAIN_END) * self._steps
        few = len(dataset) < self._size
        order = rng.choice(len(dataset), self._size, replace=few, p=self._chances)
        images = np.empty((self._size, height, width, 3), np.uint8)
        samples = []
        for slot, index in enumerate(order):
            rows = dataset.rows(index)
            labels = dataset.labels[rows]
            images[slot], boxes, ignore = vary(
                dataset.images[index],
                labels[:, 2:6],
                dataset.ignore[rows],
                width,
                height,
                plain,
                rng,
            )
            kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
            samples.append((boxes[kept], labels[kept, 1].astype(np.int64), ignore[kept]))
        most = max(1, max(len(boxes) for boxes, _, _ in samples))
        targets = Targets(
            torch.zeros(self._size, most, 4),
            torch.zeros(self._size, most, dtype=torch.int64),
            torch.zeros(self._size, most, dtype=torch.bool),
            torch.zeros(self._size, most, dtype=torch.bool),
        )
        for slot, (boxes, class_ids, ignore) in enumerate(samples):
            count = len(boxes)
            targets.boxes[slot, :count] = torch.from_numpy(boxes)
            targets.class_ids[slot, :count] = torch.from_numpy(class_ids)
            targets.wanted[slot, :count] = torch.from_numpy(~ignore)
            targets.ignore[slot, :count] = torch.from_numpy(ignore)
        return torch.from_numpy(images), targets

    def load(self, first: int, device: torch.device, workers: int) -> Iterator[Batch]:
        """Yield the batches from step `first` on, in order, on a device.

        Args:
            first: Step to begin with.
            device: Where the tensors are wanted.
            workers: Processes that prepare them ahead.
        """
        on_gpu = device.type == "cuda"
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first, self._steps),
            num_workers=workers,
            pin_memory=on_gpu,
            worker_init_fn=_one_thread,
            # Forked, they share the images; they never touch the GPU.
            multiprocessing_context="fork",
        )
        for images, targets in loader:
            yield (
                images.to(device, non_blocking=on_gpu),
                Targets(*(values.to(device, non_blocking=on_gpu) for values in targets)),
            )


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)  # OpenCV's threads are not there after a fork


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
