"""What the backend counts and measures, in Prometheus' text format.

Every label has a bounded set of values: whoever sends many names cannot fill the memory. All
methods are called in the server's event loop.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence

MAX_ROBOTS = 64
"""Robots that have a label of their own; what others ask for is counted together."""
OTHERS = "others"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histograms' buckets, s."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Counter:
    """A sum that only grows, for each combination of labels.

    Args:
        name: Of the metric; ends in `_total`.
        about: What it counts.
        labels: Names of the labels.
    """

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self._head = _head(name, about, "counter")
        self._name = name
        self._labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, value: float = 1.0) -> None:
        """Add to the sum of these labels' values."""
        self._values[labels] = self._values.get(labels, 0.0) + value

    def lines(self) -> Iterable[str]:
        """Return the lines of the exposition."""
        yield from self._head
        for values, value in self._values.items():
            yield f"{self._name}{_braces(self._labels, values)} {value:.15g}"


class Histogram:
    """How often a duration fell where, for each combination of labels.

    Args:
        name: Of the metric; ends in `_seconds`.
        about: What it measures.
        labels: Names of the labels.
    """

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self._head = _head(name, about, "histogram")
        self._name = name
        self._labels = labels
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, seconds: float) -> None:
        """Count a duration."""
        counts = self._counts.setdefault(labels, [0] * (len(SECONDS) + 1))
        counts[bisect.bisect_left(SECONDS, seconds)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def lines(self) -> Iterable[str]:
        """Return the lines of the exposition."""
        yield from self._head
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip((*map(str, SECONDS), "+Inf"), counts, strict=True):
                total += count
                braces = _braces((*self._labels, "le"), (*values, bound))
                yield f"{self._name}_bucket{braces} {total}"
            braces = _braces(self._labels, values)
            yield f"{self._name}_sum{braces} {self._sums[values]:.15g}"
            yield f"{self._name}_count{braces} {total}"


class Metrics:
    """All metrics of one server.

    Attributes:
        requests: Inference requests by model, robot, face and what became of them.
        received: Bytes of them, as they came in.
        duration: Time from a request's arrival to its answer.
        waiting: Of that, until its computation began.
        denied: Calls without a right to make them.
    """

    def __init__(self) -> None:
        who = ("model", "robot")
        prefix = "edge_robot_backend"
        self.requests = Counter(
            f"{prefix}_requests_total",
            "Inference requests by what became of them.",
            (*who, "face", "outcome"),
        )
        self.received = Counter(
            f"{prefix}_received_bytes_total", "Size of inference requests as they came in.", who
        )
        self.duration = Histogram(
            f"{prefix}_request_seconds", "From arrival to answer, of requests computed.", who
        )
        self.waiting = Histogram(
            f"{prefix}_queue_seconds", "Of that, until the computation began.", ("model",)
        )
        self.denied = Counter(
            f"{prefix}_denied_total", "Calls without a right to make them.", ("face",)
        )
        self._gauges: list[tuple[str, list[str], Callable[[], dict[str, float]]]] = []
        self._robots: set[str] = set()

    def gauge(self, name: str, about: str, read: Callable[[], dict[str, float]]) -> None:
        """Show values that are read when somebody asks.

        Args:
            name: Without the prefix that all have.
            about: What it is.
            read: Returns the values by their labels as they are written, `{…}` or nothing.
        """
        name = f"edge_robot_backend_{name}"
        self._gauges.append((name, _head(name, about, "gauge"), read))

    def robot(self, name: str) -> str:
        """Return the label of a robot: its name, or that of all the others."""
        if name not in self._robots:
            if len(self._robots) >= MAX_ROBOTS:
                return OTHERS
            self._robots.add(name)
        return name

    def text(self) -> str:
        """Return the exposition."""
        lines: list[str] = []
        for metric in (self.requests, self.received, self.duration, self.waiting, self.denied):
            lines += metric.lines()
        for name, head, read in self._gauges:
            lines += head
            lines += (f"{name}{labels} {value:.15g}" for labels, value in read().items())
        return "\n".join(lines) + "\n"


def braces(**labels: str) -> str:
    """Return labels as they are written."""
    return _braces(tuple(labels), tuple(labels.values()))


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}" if names else ""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _head(name: str, about: str, kind: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
