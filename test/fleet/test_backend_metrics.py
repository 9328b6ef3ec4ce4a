"""The exposition: Prometheus' format, the right sums, and bounded labels."""

from __future__ import annotations

import re

from edge_robot.fleet.backend.metrics import MAX_ROBOTS, OTHERS, Metrics, braces

LINE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)*\})? [0-9.e+-]+')


def test_the_text_is_what_prometheus_reads() -> None:
    metrics = Metrics()
    strange = 'a"b\\c\nd'
    metrics.requests.add("lamp", strange, "grpc", "computed")
    metrics.requests.add("lamp", strange, "grpc", "computed")
    metrics.gauge("model_info", "The models.", lambda: {braces(model=strange): 1.0})
    text = metrics.text()
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.fullmatch(line), line
    assert r'{model="lamp",robot="a\"b\\c\nd",face="grpc",outcome="computed"} 2' in text


def test_buckets_are_cumulative_and_hold_their_bounds() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.0011, 0.2, 99.0):
        metrics.duration.add("lamp", "robot7", seconds=seconds)
    found = re.findall(r'request_seconds_bucket\{.*le="(.+)"\} (\d+)', metrics.text())
    buckets = {bound: int(count) for bound, count in found}
    assert buckets["0.001"] == 2 and buckets["0.0025"] == 3
    assert buckets["0.1"] == 3 and buckets["0.25"] == 4
    assert buckets["10.0"] == 4 and buckets["+Inf"] == 5
    assert 'request_seconds_sum{model="lamp",robot="robot7"} 99.2026' in metrics.text()


def test_names_without_end_fill_no_memory() -> None:
    metrics = Metrics()
    labels = {metrics.robot(f"robot{number}") for number in range(10 * MAX_ROBOTS)}
    assert len(labels) == MAX_ROBOTS + 1 and OTHERS in labels
    assert metrics.robot("robot0") == "robot0"
