"""ONNX Runtime: TensorRT, CUDA or the CPU, the best of them that this machine has."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

# ONNX Runtime's exceptions share no base class but Exception, and live only here.
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from edge_robot.errors import UserError
from edge_robot.perception.engines.cache import engine_cache
from edge_robot.perception.engines.engine import TensorSpec
from edge_robot.perception.engines.rewriting import (
    Quantization,
    channel_block,
    leave_transposed,
    rewrite,
    take_bytes,
    take_rows,
    well_formed,
)

_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""ONNX Runtime's names of our providers, best first."""

_SPIN_US = 50
"""How long a worker thread waits awake for its next operator, µs."""
_BRIEF_SPINNING_SINCE = (1, 31)
"""Version of ONNX Runtime known to keep to such a time."""

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}

RUNTIME_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,  # of any failure in a bound run
)
"""What ONNX Runtime raises where it cannot load or run a model."""


class OnnxRuntimeEngine:
    """See `Engine` and `open_engine`.

    Input and outputs are bound once: nothing is copied on a CPU, and outputs of a fixed shape are
    written into the same memory in every run.
    """

    name = "onnxruntime"

    def __init__(self, model: ModelProto, where: str, provider: str | None, threads: int) -> None:
        offered = _choose(provider)
        options = _options(threads)
        self.quantization: Quantization | None = None
        self.interleaved = False
        transposed: dict[str, list[int]] = {}
        session = _on_accelerator(model, where, options, offered, provider is not None)
        if session is None:
            if well_formed(model):
                rewrite(model, channel_block())
                self.quantization = take_bytes(model)
                blocked = channel_block() > 1
                self.interleaved = self.quantization is not None or (blocked and take_rows(model))
                transposed = leave_transposed(model)
            session = _on_cpu(model, where, options)
        self._session = session
        self.provider: str = session.get_providers()[0]
        self.inputs = tuple(_spec(tensor) for tensor in self._session.get_inputs())
        self._outputs = tuple(_spec(tensor) for tensor in self._session.get_outputs())
        self._views = [transposed.get(spec.name) for spec in self._outputs]
        self.outputs = tuple(
            spec if axes is None else spec.transpose(axes)
            for spec, axes in zip(self._outputs, self._views, strict=True)
        )
        self._where = where
        self._binding = self._session.io_binding()
        self._made: list[NDArray[Any]] = []
        self._copies = self.provider != _PROVIDERS["cpu"]
        self._fixed = all(None not in spec.shape for spec in self.outputs)

    def bind(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """See `Engine`."""
        if self.interleaved:
            shape = tuple(shape[axis] for axis in (0, 2, 3, 1))
        tensor: NDArray[Any] = np.zeros(shape, np.uint8 if self.quantization else np.float32)
        self._input = tensor  # kept: the binding knows addresses alone
        self._bind_input()
        self._binding.clear_binding_outputs()
        self._made = []
        if self._fixed:
            for spec in self._outputs:
                output = np.zeros([size or 0 for size in spec.shape], spec.type)
                self._binding.bind_output(
                    spec.name, "cpu", 0, output.dtype.type, output.shape, output.ctypes.data
                )
                self._made.append(output)
        return tensor

    def run(self) -> list[NDArray[Any]]:
        """See `Engine`."""
        try:
            if self._copies:
                self._bind_input()
            if self._fixed:
                self._session.run_with_iobinding(self._binding)
                return self._turn(self._made)
            # Sizes that only a run tells: ONNX Runtime allocates, each time anew.
            self._binding.clear_binding_outputs()
            for spec in self._outputs:
                self._binding.bind_output(spec.name, "cpu")
            self._session.run_with_iobinding(self._binding)
            return self._turn(self._binding.copy_outputs_to_cpu())
        except RUNTIME_ERRORS as error:
            raise UserError(
                f"model {self._where} cannot be run ({_reason(error)}); "
                "correct its card, or take another model"
            ) from error

    def _bind_input(self) -> None:
        """Let a CPU read the input buffer from now on; a GPU gets a copy of what it holds now."""
        self._binding.bind_cpu_input(self.inputs[0].name, self._input)

    def _turn(self, outputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs as the network's file has them, without copying."""
        return [
            output if axes is None else output.transpose(axes)
            for output, axes in zip(outputs, self._views, strict=True)
        ]


def open_session(model: ModelProto, where: str, threads: int) -> ort.InferenceSession:
    """Open a model as its file has it, on the best provider there is.

    Args:
        model: The network, as `onnx_check.check_graph` returns it.
        where: Its name, for messages.
        threads: Threads one inference may use on a CPU.

    Raises:
        UserError: ONNX Runtime cannot load it.
    """
    options = _options(threads)
    session = _on_accelerator(model, where, options, _choose(None), False)
    return session or _on_cpu(model, where, options)


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # By default a waiting worker thread burns a core between two frames. For so short a time it
    # only waits for the next operator, which it would sleep through; older versions know no time.
    brief = tuple(map(int, ort.__version__.split(".")[:2])) >= _BRIEF_SPINNING_SINCE
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if brief else "0")
    if brief:
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_US))
    options.log_severity_level = 4  # failures come as exceptions, once
    return options


def _on_cpu(model: ModelProto, where: str, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return _open(model, options, ["cpu"])
    except RUNTIME_ERRORS as error:
        raise UserError(
            f"model {where} is no ONNX model this runtime can load ({_reason(error)}); "
            "fetch or export it again"
        ) from error


def _choose(provider: str | None) -> list[str]:
    """Return the providers to offer: those of this ONNX Runtime, from the demanded one on."""
    available = ort.get_available_providers()
    here = [name for name, theirs in _PROVIDERS.items() if theirs in available]
    if provider is None:
        return here
    if provider not in here:
        raise UserError(
            f"provider {provider} is not in this ONNX Runtime, which has {', '.join(here)}; "
            "demand none, or install 'edge_robot[gpu]' in place of onnxruntime"
        )
    # What TensorRT or CUDA lacks an operator for runs on the next.
    return here[here.index(provider) :]


def _on_accelerator(
    model: ModelProto,
    where: str,
    options: ort.SessionOptions,
    offered: list[str],
    demanded: bool,
) -> ort.InferenceSession | None:
    """Return a session on the best provider that loads; None where that is the CPU.

    A provider can be built into ONNX Runtime and its driver or libraries be missing.

    Args:
        model: The network.
        where: Its name, for messages.
        options: Of the session.
        offered: Providers, best first, the CPU last.
        demanded: Whether the first of them must be the one in use.

    Raises:
        UserError: it is demanded and does not load.
    """
    missing = _load_cuda() if "cuda" in offered else []
    for first, name in enumerate(offered[:-1]):
        try:
            session = _open(model, options, offered[first:])
            if session.get_providers()[0] == _PROVIDERS[name]:
                return session
            reason = "; ".join(missing) or f"ONNX Runtime took {session.get_providers()[0]}"
        except RUNTIME_ERRORS as error:
            reason = _reason(error)
        if demanded:
            raise UserError(
                f"model {where} cannot be run on {name} ({reason}); see that the driver and "
                f"libraries of {name} can be loaded, or demand none"
            )
    return None


def _load_cuda() -> list[str]:
    """Load the libraries of CUDA that pip has installed: ONNX Runtime alone does not find them.

    Returns:
        What could not be loaded, and why.
    """
    with redirect_stdout(StringIO()) as said:
        ort.preload_dlls()
    return [line for line in said.getvalue().splitlines() if line.startswith("Failed")]


def _open(
    model: ModelProto, options: ort.SessionOptions, providers: list[str]
) -> ort.InferenceSession:
    # Without fallback: else a failure is repeated on the CPU, with a print and nothing else.
    return ort.InferenceSession(
        model.SerializeToString(),
        options,
        providers=[_with_options(name) for name in providers],
        enable_fallback=0,
    )


def _with_options(provider: str) -> tuple[str, dict[str, Any]]:
    options: dict[str, Any] = {}
    if provider == "cuda":
        # TF32 has ten bits of mantissa: other boxes than on a CPU, and measured no sooner.
        options = {"use_tf32": "0"}
    elif provider == "tensorrt" and (cache := engine_cache("tensorrt")) is not None:
        # Building a TensorRT engine takes minutes on a Jetson; with these files, seconds.
        options = {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(cache),
        }
    return _PROVIDERS[provider], options


def _spec(tensor: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size >= 0 else None for size in tensor.shape)
    return TensorSpec(tensor.name, shape, _TYPES.get(tensor.type, tensor.type))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split(":")[-1].split()) or "unknown format"
