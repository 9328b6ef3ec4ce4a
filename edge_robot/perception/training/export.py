"""From a trained network to an ONNX file, and from that to int8."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_robot.perception.training.network import STRIDES, Detector, Exported

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


class _Calibration(CalibrationDataReader):
    def __init__(self, tensors: Iterable[NDArray[np.float32]]) -> None:
        self._tensors = iter(tensors)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        tensor = next(self._tensors, None)
        return None if tensor is None else {INPUT: tensor}


def quantize(source: Path, target: Path, tensors: Iterable[NDArray[np.float32]]) -> None:
    """Quantize an fp32 ONNX file to int8 (QDQ, unsigned activations, signed per-channel weights).

    The last 1×1 convolution of each level stays fp32: box offsets need its range and precision,
    and it costs next to nothing.

    Args:
        source: From `export_onnx`.
        target: The int8 file to write.
        tensors: Calibration inputs, 1×3×H×W float32 each; never those used for scoring.
    """
    prepared = source.with_suffix(".prepared.onnx")
    logging.getLogger().setLevel(logging.ERROR)
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(str(prepared)).graph
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    last = {
        node.name
        for node in convolutions
        if not any(
            node.output[0] in other.input for other in graph.node if other.op_type != "Reshape"
        )
    }
    assert len(last) == len(STRIDES), last
    quantize_static(
        str(prepared),
        str(target),
        _Calibration(tensors),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Relu", "Add", "Resize", "Slice"],
        nodes_to_exclude=sorted(last),
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": 99.995, "ActivationSymmetric": False},
    )
    prepared.unlink()
