"""What a detector needs of an inference runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


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


class Engine(Protocol):
    """A network that is loaded, with the memory it works on.

    Inputs and outputs are buffers that every run uses again, so an engine serves one thread at a
    time, and an output must be used or copied before the next run.

    Attributes:
        name: Of the runtime: one of `ENGINES`.
        provider: What it truly computes on, as the runtime itself reports it.
        inputs: What the network takes.
        outputs: What it gives.
    """

    name: str
    provider: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def bind(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the buffer that is the network's first input from now on, zeros of this shape."""
        ...

    def run(self) -> list[NDArray[Any]]:
        """Compute and return the outputs of what the input buffer holds.

        Raises:
            UserError: the network cannot be run on it.
        """
        ...
