"""What runs a network: one small interface, and an implementation for each inference runtime."""

from __future__ import annotations

from onnx import ModelProto

from edge_robot.errors import UserError
from edge_robot.perception.engines.engine import Engine, TensorSpec
from edge_robot.perception.engines.onnxruntime_engine import OnnxRuntimeEngine
from edge_robot.perception.engines.openvino_engine import OpenVinoEngine

__all__ = ["ENGINES", "PROVIDERS", "Engine", "TensorSpec", "open_engine"]

ENGINES = ("onnxruntime", "openvino")
PROVIDERS = ("tensorrt", "cuda", "cpu")
"""What an engine may compute on, best first."""


def open_engine(
    model: ModelProto,
    where: str,
    *,
    engine: str = "onnxruntime",
    provider: str | None = None,
    threads: int = 1,
) -> Engine:
    """Open a model.

    Args:
        model: The network, as `onnx_check.check_graph` returns it: an unchecked one could make
            the runtime read other files. It may be changed.
        where: Its name, for messages.
        engine: One of `ENGINES`.
        provider: One of `PROVIDERS`, which then is the one in use; by default the best there is.
        threads: Threads one inference may use on a CPU.

    Raises:
        UserError: there is no such engine or provider here, or it cannot load the model.
    """
    if engine not in ENGINES:
        raise UserError(f"there is no engine {engine!r}; choose one of {', '.join(ENGINES)}")
    if provider is not None and provider not in PROVIDERS:
        raise UserError(f"there is no provider {provider!r}; choose one of {', '.join(PROVIDERS)}")
    made = OpenVinoEngine if engine == "openvino" else OnnxRuntimeEngine
    return made(model, where, provider, threads)
