"""Which cell answers for which object, and how wrong it is (task-aligned assignment, TOOD 2021)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

_CANDIDATES = 9
_IOU_POWER = 4.0
_BOX_GAIN = 5.0


class Targets(NamedTuple):
    """Labels of a batch, padded to the same number per image.

    Attributes:
        boxes: (B, M, 4) x1 y1 x2 y2, input px.
        class_ids: (B, M) int64.
        wanted: (B, M) bool: to be found.
        ignore: (B, M) bool: neither to be found nor background. Neither set: padding.
    """

    boxes: Tensor
    class_ids: Tensor
    wanted: Tensor
    ignore: Tensor


def decode(raw: Tensor, cells: Tensor) -> Tensor:
    """Return (B, N, 4) x1 y1 x2 y2 boxes, px, of raw cell values.

    Args:
        raw: (B, N, 5+C) from the network.
        cells: (N, 3) column, row and stride.
    """
    stride = cells[:, 2:]
    centre = (raw[..., :2] + cells[:, :2]) * stride
    half = 0.5 * raw[..., 2:4].clamp(-6.0, 6.0).exp() * stride
    return torch.cat([centre - half, centre + half], dim=-1)


def loss(raw: Tensor, cells: Tensor, targets: Targets) -> Tensor:
    """Return the loss of a batch: box, objectness and class, each relative to the matched weight.

    Args:
        raw: (B, N, 5+C) float32 from the network.
        cells: (N, 3) column, row and stride.
        targets: The labels.
    """
    boxes = decode(raw, cells)
    weight, owner, background = _assign(boxes.detach(), raw.detach(), cells, targets)
    # Over all cells, weighted: picking the matched ones would make a GPU wait for the CPU.
    total = weight.sum().clamp(min=1.0)
    object_loss = binary_cross_entropy_with_logits(raw[..., 4], weight, reduction="none")
    truth = targets.boxes.gather(1, owner[..., None].expand(-1, -1, 4))
    box_loss = 1.0 - _generalised_iou(boxes, truth)
    logits = raw[..., 5:]
    class_ids = targets.class_ids.gather(1, owner)
    one_hot = torch.zeros_like(logits).scatter_(2, class_ids[..., None], 1.0)
    class_loss = binary_cross_entropy_with_logits(logits, one_hot, reduction="none").sum(dim=2)
    matched = weight * (_BOX_GAIN * box_loss + class_loss)
    return (object_loss * background + matched).sum() / total


def _assign(
    boxes: Tensor, raw: Tensor, cells: Tensor, targets: Targets
) -> tuple[Tensor, Tensor, Tensor]:
    """Give each object the cells that already describe it best.

    Returns:
        (B, N) objectness to aim at (0 for cells without an object), (B, N) index of the object,
        and (B, N) weight of the objectness loss (0 where an ignored object lies).
    """
    count = boxes.shape[1]
    centre = (cells[:, :2] + 0.5) * cells[:, 2:]
    truth = targets.boxes[:, :, None]
    inside = ((centre > truth[..., :2]) & (centre < truth[..., 2:])).all(dim=-1)
    middle = 0.5 * (truth[..., :2] + truth[..., 2:])
    near = ((centre - middle).abs() < cells[:, 2:]).all(
        dim=-1
    )  # thin objects may contain no centre
    overlap = _iou(truth, boxes[:, None])
    objectness = raw[..., 4].sigmoid()[:, None]
    index = targets.class_ids[:, None].expand(-1, count, -1)
    of_class = raw[..., 5:].sigmoid().gather(2, index).transpose(1, 2)
    quality = (objectness * of_class).sqrt() * overlap**_IOU_POWER
    quality = torch.where((inside | near) & targets.wanted[..., None], quality + 1e-9, 0.0)
    best = quality.topk(min(_CANDIDATES, count), dim=2)
    chosen = torch.zeros_like(quality).scatter_(2, best.indices, (best.values > 0).float())
    # A cell answers for one object: the one it overlaps most.
    claimed = torch.where(chosen > 0, overlap + 1e-6, 0.0)
    strongest, owner = claimed.max(dim=1)
    chosen = chosen * torch.zeros_like(chosen).scatter_(1, owner[:, None], 1.0)
    quality = quality * chosen
    peak = quality.amax(dim=2, keepdim=True).clamp(min=1e-12)
    aim = quality / peak * (overlap * chosen).amax(dim=2, keepdim=True)
    weight = torch.where(strongest > 0, aim.sum(dim=1), 0.0)
    ignored = (inside & targets.ignore[..., None]).any(dim=1)
    background = torch.where((weight == 0) & ignored, 0.0, 1.0)
    return weight, owner, background


def _iou(a: Tensor, b: Tensor) -> Tensor:
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    intersection = (high - low).clamp(min=0).prod(dim=-1)
    union = _area(a) + _area(b) - intersection
    return intersection / union.clamp(min=1e-6)


def _generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    intersection = (high - low).clamp(min=0).prod(dim=-1)
    union = (_area(a) + _area(b) - intersection).clamp(min=1e-6)
    low, high = torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])
    hull = (high - low).prod(dim=-1).clamp(min=1e-6)
    return intersection / union - (hull - union) / hull


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
