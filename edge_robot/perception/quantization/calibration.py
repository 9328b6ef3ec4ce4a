"""Which range of values each tensor needs: seen on calibration images, chosen in several ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

from edge_robot.errors import UserError

Range = tuple[float, float]

BINS = 2048
LEVELS = 256
"""Values of int8."""


@dataclass(frozen=True)
class Histogram:
    """How often which values of one tensor were seen.

    Attributes:
        counts: (BINS,) int64.
        low: Least value seen.
        high: Greatest value seen.
    """

    counts: NDArray[np.int64]
    low: float
    high: float

    @property
    def centres(self) -> NDArray[np.floating]:
        """(BINS,) value in the middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return self.low + width * (np.arange(len(self.counts)) + 0.5)


def observe(
    model: ModelProto, tensors: Sequence[NDArray[np.float32]], done: Callable[[], None]
) -> dict[str, Histogram]:
    """Run a network on calibration images and count the values of all its float tensors.

    Args:
        model: The fp32 network, shapes inferred.
        tensors: Its input, once per calibration image.
        done: Called after each run; there are two per image, one for the range and one to count.

    Returns:
        By name of the tensor.

    Raises:
        UserError: a tensor holds values that are not finite.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    floats = [
        item
        for item in (*model.graph.value_info,)
        if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    made = {name for node in model.graph.node for name in node.output}
    given = {item.name for item in model.graph.output}
    watched.graph.output.extend(i for i in floats if i.name in made and i.name not in given)
    session = open_session(watched.SerializeToString())
    source = session.get_inputs()[0].name
    names = [item.name for item in session.get_outputs()]

    def values(tensor: NDArray[np.float32]) -> Iterable[tuple[str, NDArray[np.float32]]]:
        yield source, tensor
        yield from zip(names, session.run(None, {source: tensor}), strict=True)
        done()

    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for tensor in tensors:
        for name, seen in values(tensor):
            if seen.dtype != np.float32 or not seen.size:
                continue
            low, high = float(seen.min()), float(seen.max())
            if not np.isfinite(low + high):
                raise UserError(
                    f"tensor {name} of the network is not finite on a calibration image; "
                    "the model's weights or its card's mean and std are wrong"
                )
            lows[name] = min(lows.get(name, low), low)
            highs[name] = max(highs.get(name, high), high)
    counts = {name: np.zeros(BINS, np.int64) for name in lows}
    for tensor in tensors:
        for name, seen in values(tensor):
            if name in counts:
                width = max(highs[name] - lows[name], 1e-30)
                index = ((seen.ravel() - lows[name]) * (BINS / width)).astype(np.int64)
                counts[name] += np.bincount(np.minimum(index, BINS - 1), minlength=BINS)
    return {name: Histogram(counts[name], lows[name], highs[name]) for name in counts}


def minmax(histogram: Histogram) -> Range:
    """Return the whole range seen."""
    return histogram.low, histogram.high


def percentile(histogram: Histogram, share: float = 0.9999) -> Range:
    """Return the range that holds this share of the values, cut evenly above and below."""
    cumulative = np.cumsum(histogram.counts) / histogram.counts.sum()
    tail = 0.5 * (1.0 - share)
    width = (histogram.high - histogram.low) / len(histogram.counts)
    first = int(np.searchsorted(cumulative, tail, side="right"))
    last = int(np.searchsorted(cumulative, 1.0 - tail, side="left"))
    return histogram.low + first * width, histogram.low + (last + 1) * width


def least_squares(histogram: Histogram) -> Range:
    """Return the range, cut above and below, whose rounding and clipping errors are least."""
    centres, counts = histogram.centres, histogram.counts.astype(np.float64)
    low, high = histogram.low, histogram.high
    for _ in range(2):  # one end after the other, twice: they hardly depend on each other
        high = min(_steps(0.0, histogram.high), key=lambda end: _error(centres, counts, low, end))
        low = min(_steps(0.0, histogram.low), key=lambda end: _error(centres, counts, end, high))
    return low, high


def entropy(histogram: Histogram) -> Range:
    """Return the range, cut at both ends alike, whose values in int8 tell most of the originals.

    The least Kullback–Leibler divergence, after Migacz, "8-bit inference with TensorRT", 2017.
    """
    centres, counts = histogram.centres, histogram.counts.astype(np.float64)
    ends = [
        (min(histogram.low, 0.0) * share, max(histogram.high, 0.0) * share)
        for share in np.linspace(0.1, 1.0, 46)
    ]
    return min(ends, key=lambda end: _divergence(centres, counts, *end))


METHODS: dict[str, Callable[[Histogram], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "entropy": entropy,
    "mse": least_squares,
}
"""How a range is chosen; all from the same histograms."""


def ranges(histograms: dict[str, Histogram], method: str) -> dict[str, Range]:
    """Return each tensor's range; zero, which padding is made of, always lies within."""
    chosen = {name: METHODS[method](item) for name, item in histograms.items()}
    return {name: (min(low, 0.0), max(high, 0.0)) for name, (low, high) in chosen.items()}


def open_session(content: bytes) -> ort.InferenceSession:
    """Open a network on one thread of the CPU: what is calibrated must not vary by machine."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _steps(nearest: float, furthest: float) -> list[float]:
    return [float(end) for end in np.linspace(furthest, nearest, 64, endpoint=False)]


def _error(
    centres: NDArray[np.floating], counts: NDArray[np.float64], low: float, high: float
) -> float:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / (LEVELS - 1), 1e-30)
    rounded = np.round((np.clip(centres, low, high) - low) / scale) * scale + low
    # Within a bin values differ from its centre: that part of the error is the same for all.
    return float(counts @ (rounded - centres) ** 2)


def _divergence(
    centres: NDArray[np.floating], counts: NDArray[np.float64], low: float, high: float
) -> float:
    scale = max((high - low) / (LEVELS - 1), 1e-30)
    level = np.round((np.clip(centres, low, high) - low) / scale).astype(np.int64)
    inside = (centres >= low) & (centres <= high)
    # Reference: what lies beyond goes into the last bins. Int8: the counts inside, spread evenly
    # over the bins of each level that hold any.
    reference = np.where(inside, counts, 0.0)
    held = np.flatnonzero(inside)
    if not len(held):
        return np.inf
    reference[held[0]] += counts[: held[0]].sum()
    reference[held[-1]] += counts[held[-1] + 1 :].sum()
    filled = inside & (reference > 0)
    total = np.bincount(level[inside], counts[inside], minlength=LEVELS)
    bins = np.bincount(level[filled], minlength=LEVELS)
    spread = np.where(filled, total[level] / np.maximum(bins[level], 1), 0.0)
    p, q = reference / reference.sum(), spread / max(spread.sum(), 1e-30)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-12))))
