"""What a detector needs of an inference runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from numpy.typing import NDArray

from edge_robot.perception.engines.rewriting import Quantization


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a network.

    Attributes:
        name: Its name in the graph.
        shape: Its sizes; None where one is not fixed.
        type: Element type, as NumPy calls it: `float32`, `int64` …
    """

    name: str
    shape: tuple[int | None, ...]
    type: str

    def transpose(self, axes: Sequence[int]) -> TensorSpec:
        """Return what `numpy.transpose` makes of such a tensor."""
        return replace(self, shape=tuple(self.shape[axis] for axis in axes))


class Engine(Protocol):
    """A network that is loaded, with the memory it works on.

    Inputs and outputs are buffers that every run uses again, so an engine serves one thread at a
    time, and an output must be used or copied before the next run.

    Attributes:
        name: Of the runtime: one of `ENGINES`.
        provider: What it truly computes on, as the runtime itself reports it.
        inputs: What the network takes.
        outputs: What it gives.
        interleaved: Whether the first input is an image N×H×W×C instead of N×C×H×W.
        quantization: Where not None, it is so, and in bytes, and whoever writes it applies this:
            the network itself does so no more.
    """

    name: str
    provider: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    interleaved: bool
    quantization: Quantization | None

    def bind(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the buffer that is the network's first input from now on, zeros.

        Args:
            shape: N×C×H×W. That is its shape, but where it is `interleaved`; its type is float32,
                but uint8 where there is a `quantization`.
        """
        ...

    def run(self) -> list[NDArray[Any]]:
        """Compute and return the outputs of what the input buffer holds.

        Raises:
            UserError: the network cannot be run on it.
        """
        ...
