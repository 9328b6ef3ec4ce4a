"""Which layers suffer most from int8: each is quantized alone and the outputs are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.quantization.calibration import Range, open_session
from edge_robot.perception.quantization.graph import Structure
from edge_robot.perception.quantization.qdq import Plan, write_qdq

MAX_FIDELITY = 99.0
"""Reported where the outputs are equal, dB."""


class Reference:
    """What the fp32 network gives for some inputs, to compare quantized ones with.

    Args:
        structure: The fp32 network.
        tensors: Its input, once per image.
    """

    def __init__(self, structure: Structure, tensors: Sequence[NDArray[np.float32]]) -> None:
        self._tensors = tensors
        self._wanted = self._run(structure.model.SerializeToString())

    def fidelity(self, content: bytes) -> float:
        """Return how well a quantized network repeats the raw outputs: signal over noise, dB.

        Args:
            content: Its .onnx file.
        """
        ratios = []
        for wanted, given in zip(self._wanted, self._run(content), strict=True):
            noise = float(np.sum((wanted - given) ** 2, dtype=np.float64))
            signal = float(np.sum(wanted**2, dtype=np.float64))
            ratio = 10.0 * np.log10(signal / noise) if noise and signal else MAX_FIDELITY
            ratios.append(min(ratio, MAX_FIDELITY))
        return float(np.mean(ratios))

    def _run(self, content: bytes) -> list[NDArray[np.float32]]:
        session = open_session(content)
        name = session.get_inputs()[0].name
        return [
            np.concatenate([np.ravel(output) for output in session.run(None, {name: tensor})])
            for tensor in self._tensors
        ]


def sensitivities(
    structure: Structure,
    ranges: Mapping[str, Range],
    plan: Plan,
    reference: Reference,
    done: Callable[[], None],
) -> dict[str, float]:
    """Return per layer how well the network works with that layer alone in int8.

    Args:
        structure: The network.
        ranges: Range of each tensor.
        plan: How to quantize; layers it leaves fp32 are measured all the same.
        reference: Outputs to compare with.
        done: Called after each layer.

    Returns:
        Fidelity in dB by name of the layer, the most sensitive (lowest) first.
    """
    names = frozenset(layer.name for layer in structure.layers)
    found = {}
    for layer in structure.layers:
        alone = replace(plan, fp32_layers=names - {layer.name})
        found[layer.name] = reference.fidelity(write_qdq(structure, ranges, alone))
        done()
    return dict(sorted(found.items(), key=lambda item: item[1]))
