"""From a trained network to an ONNX file, and from that to int8."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_robot.perception.quantization.calibration import observe, ranges
from edge_robot.perception.quantization.graph import analyse
from edge_robot.perception.quantization.qdq import Plan, write_qdq
from edge_robot.perception.training.network import Detector, Exported

INPUT, OUTPUT = "images", "cells"


def export_onnx(network: Detector, width: int, height: int, path: Path) -> None:
    """Write a network as fp32 ONNX for a fixed input size, batch normalisation folded."""
    exported = Exported(network).eval()
    torch.onnx.export(
        exported,
        (torch.zeros(1, 3, height, width),),
        str(path),
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=17,
        dynamo=False,
    )


def quantize(source: Path, target: Path, tensors: Iterable[NDArray[np.float32]]) -> None:
    """Quantize an fp32 ONNX file to int8 (QDQ, unsigned activations, signed per-channel weights).

    As `edge-robot quantize` does, without its search: the network is made for int8, so nothing but
    the head (the last 1×1 convolution of each level, and all behind it) stays fp32.

    Args:
        source: From `export_onnx`.
        target: The int8 file to write.
        tensors: Calibration inputs, 1×3×H×W float32 each; never those used for scoring.
    """
    structure = analyse(source.read_bytes(), str(source))
    histograms = observe(structure.model, list(tensors), lambda: None)
    plan = Plan("percentile")
    target.write_bytes(write_qdq(structure, ranges(histograms, plan.calibration), plan))
