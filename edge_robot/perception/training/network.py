"""A detector designed for int8: plain 3×3 convolutions and ReLU, an anchor-free head.

No depthwise convolutions and no smooth activations: both lose in int8 on a CPU (`front` measures
it). The output has the `yolox` layout, so that any YOLOX decoder reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Shape:
    """Widths and depths of a network.

    Attributes:
        stem: Channels at strides 2 and 4.
        widths: Channels at strides 8, 16 and 32.
        depths: 3×3 convolutions at strides 4, 8, 16 and 32, the striding one included.
        neck: Channels of the pyramid and of the head.
        depthwise: Make each 3×3 convolution but the first a depthwise one and a 1×1, for
            comparison: a fraction of the arithmetic, but slower in int8.
    """

    stem: tuple[int, int]
    widths: tuple[int, int, int]
    depths: tuple[int, int, int, int]
    neck: int
    depthwise: bool = False


class Detector(nn.Module):
    """The network, from pixels to raw per-cell values.

    Args:
        shape: Widths and depths.
        classes: Number of classes.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        first, second = shape.stem
        convolution = _depthwise if shape.depthwise else _convolution

        def stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
            rest = [convolution(outputs, outputs) for _ in range(depth - 1)]
            return nn.Sequential(convolution(inputs, outputs, stride=2), *rest)

        self.stem = nn.Sequential(
            _convolution(3, first, stride=2), stage(first, second, shape.depths[0])
        )
        before = (second, *shape.widths)
        self.stages = nn.ModuleList(
            stage(before[level], before[level + 1], shape.depths[level + 1]) for level in range(3)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, shape.neck, 1) for width in shape.widths)
        self.smooth = nn.ModuleList(convolution(shape.neck, shape.neck) for _ in STRIDES)
        self.heads = nn.ModuleList(convolution(shape.neck, shape.neck) for _ in STRIDES)
        self.outputs = nn.ModuleList(nn.Conv2d(shape.neck, 5 + classes, 1) for _ in STRIDES)
        for output in self.outputs:
            # A prior of 1 % object per cell keeps the first steps from drowning in background.
            nn.init.constant_(output.bias[4:5], -4.6)

    def forward(self, images: Tensor) -> Tensor:
        """Return raw values of every cell.

        Args:
            images: (B, 3, H, W), 0..255.

        Returns:
            (B, N, 5+C): offset x y (cells), log size (strides), objectness and class logits.
        """
        features = []
        x = self.stem(images * (1.0 / 255.0))
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        merged: Tensor | None = None
        cells = []
        for level in reversed(range(3)):
            x = self.laterals[level](features[level])
            if merged is not None:
                # An input whose size is no multiple of 32 has a partial last cell: crop it.
                up = nn.functional.interpolate(merged, scale_factor=2.0, mode="nearest")
                x = x + up[:, :, : x.shape[2], : x.shape[3]]
            merged = self.smooth[level](x)
            cells.append(self.outputs[level](self.heads[level](merged)).flatten(2))
        return torch.cat(cells[::-1], dim=2).transpose(1, 2)


class Exported(nn.Module):
    """The network as it is exported: scores instead of logits.

    Args:
        network: The trained network.
    """

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, N, 5+C) in the `yolox` layout for (B, 3, H, W) images, 0..255."""
        raw = self.network(images)
        return torch.cat([raw[:, :, :4], raw[:, :, 4:].sigmoid()], dim=2)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs, momentum=0.03),
        nn.ReLU(inplace=True),
    )


def _depthwise(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs, momentum=0.03),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs, momentum=0.03),
        nn.ReLU(inplace=True),
    )
