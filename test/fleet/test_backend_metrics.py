"""The exposition: the right sums under their names, and bounded labels."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from edge_robot.fleet.backend.metrics import MAX_ROBOTS, OTHERS, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    """Return values by the name of the metric and the values of its labels."""
    return {
        (sample.name.removeprefix("edge_robot_backend_"), frozenset(sample.labels.values())): (
            sample.value
        )
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_what_is_counted_is_told_whatever_the_names() -> None:
    metrics = Metrics()
    strange = 'a"b\\c\nd'
    for _ in range(2):
        metrics.requests.labels("lamp", strange, "grpc", "computed").inc()
    metrics.duration.labels("lamp", "robot7").observe(0.2)
    metrics.gauge("ready", "Whether.", lambda: 1.0)
    served: list[tuple[str, ...]] = []
    metrics.info("model_info", "The models.", ("model",), lambda: served)
    assert ("model_info", frozenset({strange})) not in samples(metrics)
    served.append((strange,))
    told = samples(metrics)
    assert told["requests_total", frozenset({"lamp", strange, "grpc", "computed"})] == 2.0
    assert told["request_seconds_bucket", frozenset({"lamp", "robot7", "0.1"})] == 0.0
    assert told["request_seconds_bucket", frozenset({"lamp", "robot7", "0.25"})] == 1.0
    assert told["ready", frozenset()] == 1.0
    assert told["model_info", frozenset({strange})] == 1.0


def test_names_without_end_fill_no_memory() -> None:
    metrics = Metrics()
    labels = {metrics.robot(f"robot{number}") for number in range(10 * MAX_ROBOTS)}
    assert len(labels) == MAX_ROBOTS + 1 and OTHERS in labels
    assert metrics.robot("robot0") == "robot0"
