"""What the backend counts and measures, for Prometheus.

Every label has a bounded set of values: whoever sends many names cannot fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

MAX_ROBOTS = 64
"""Robots that have a label of their own; what others ask for is counted together."""
OTHERS = "others"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histograms' buckets, s."""
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_PREFIX = "edge_robot_backend_"


class Metrics:
    """All metrics of one server.

    Attributes:
        requests: Inference requests by model, robot, face and what became of them.
        received: Bytes of them, as they came in.
        duration: Time from a request's arrival to its answer, s.
        waiting: Of that, until its computation began, s.
        denied: Calls without a right to make them.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._robots: set[str] = set()
        who = ("model", "robot")
        self.requests = Counter(
            f"{_PREFIX}requests",
            "Inference requests by what became of them.",
            (*who, "face", "outcome"),
            registry=self._registry,
        )
        self.received = Counter(
            f"{_PREFIX}received_bytes",
            "Size of inference requests as they came in.",
            who,
            registry=self._registry,
        )
        self.duration = Histogram(
            f"{_PREFIX}request_seconds",
            "From arrival to answer, of requests computed.",
            who,
            buckets=SECONDS,
            registry=self._registry,
        )
        self.waiting = Histogram(
            f"{_PREFIX}queue_seconds",
            "Of that, until the computation began.",
            ("model",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self.denied = Counter(
            f"{_PREFIX}denied",
            "Calls without a right to make them.",
            ("face",),
            registry=self._registry,
        )

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Show a value that is read when somebody asks.

        Args:
            name: Without the prefix that all have.
            about: What it is.
            read: Returns it.
        """
        Gauge(f"{_PREFIX}{name}", about, registry=self._registry).set_function(read)

    def info(
        self,
        name: str,
        about: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[Sequence[str]]],
    ) -> None:
        """Show what is told by labels alone, read when somebody asks.

        Args:
            name: Without the prefix that all have.
            about: What it is.
            labels: Their names.
            read: Returns their values.
        """
        self._registry.register(_Info(f"{_PREFIX}{name}", about, labels, read))

    def robot(self, name: str) -> str:
        """Return the label of a robot: its name, or that of all the others."""
        if name not in self._robots:
            if len(self._robots) >= MAX_ROBOTS:
                return OTHERS
            self._robots.add(name)
        return name

    def text(self) -> bytes:
        """Return the exposition, in the format `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _Info(Collector):
    """A gauge of value 1 for each combination of labels there is at the moment."""

    def __init__(
        self,
        name: str,
        about: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[Sequence[str]]],
    ) -> None:
        self._name, self._about = name, about
        self._labels, self._read = labels, read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what there is."""
        family = GaugeMetricFamily(self._name, self._about, labels=self._labels)
        for values in self._read():
            family.add_metric(values, 1.0)
        yield family
