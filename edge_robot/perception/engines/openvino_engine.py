"""OpenVINO on the CPU: optional, and the faster one for some models (see `bench detector`)."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edge_robot.errors import UserError
from edge_robot.perception.engines.cache import engine_cache
from edge_robot.perception.engines.engine import TensorSpec
from edge_robot.perception.engines.rewriting import Quantization, rewrite, well_formed


class OpenVinoEngine:
    """See `Engine` and `open_engine`."""

    name = "openvino"
    quantization: Quantization | None = None  # 2.2 → 2.5 ms with it
    interleaved = False

    def __init__(self, model: ModelProto, where: str, provider: str | None, threads: int) -> None:
        if provider not in (None, "cpu"):
            raise UserError(f"engine openvino has no provider {provider}; demand cpu, or none")
        openvino = _import_openvino()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # By default it computes float32 networks in bfloat16 where the CPU can: 1.4 times
            # faster, but boxes move by several percent and scores by some hundredths.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if well_formed(model):
            rewrite(model, block=1)
        cache = engine_cache("openvino")
        if cache is not None:
            settings["CACHE_DIR"] = str(cache)
        try:
            core = openvino.Core()
            network = core.read_model(model.SerializeToString())
            compiled = core.compile_model(network, "CPU", settings)
            self._request = compiled.create_infer_request()
            self.provider = "OpenVINO " + "+".join(compiled.get_property("EXECUTION_DEVICES"))
            self.inputs = tuple(_spec(port) for port in compiled.inputs)
            self.outputs = tuple(_spec(port) for port in compiled.outputs)
        except RuntimeError as error:
            raise UserError(
                f"model {where} is no ONNX model this runtime can load ({_reason(error)}); "
                "fetch or export it again, or choose engine onnxruntime"
            ) from error
        self._openvino = openvino
        self._where = where

    def bind(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """See `Engine`."""
        self._tensor = np.zeros(shape, np.float32)  # kept: the request knows its address alone
        self._request.set_input_tensor(0, self._openvino.Tensor(self._tensor, shared_memory=True))
        return self._tensor

    def run(self) -> list[NDArray[Any]]:
        """See `Engine`."""
        try:
            self._request.infer()
        except RuntimeError as error:
            raise UserError(
                f"model {self._where} cannot be run ({_reason(error)}); "
                "correct its card, or take another model"
            ) from error
        return [self._request.get_output_tensor(index).data for index in range(len(self.outputs))]


def _import_openvino() -> Any:
    # Importing it would report to its makers over the network; without this module, it does not.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UserError(
            "engine openvino is not installed; pip install 'edge_robot[openvino]', "
            "or choose engine onnxruntime"
        ) from error
    return openvino


def _spec(port: Any) -> TensorSpec:
    shape = tuple(
        size.get_length() if size.is_static else None for size in port.get_partial_shape()
    )
    return TensorSpec(port.get_any_name(), shape, np.dtype(port.get_element_type().to_dtype()).name)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown format"
