"""The backend's benchmark, for a moment: robots in their own process, and counts that agree."""

from __future__ import annotations

from edge_robot.bench.backend import DENSE, _Server
from edge_robot.bench.runtimes import bench_domain, programs, standalone


def test_robots_of_another_process_are_served_and_counted() -> None:
    with programs(standalone(bench_domain())) as start:
        server = _Server(start, batch=8, runtime="onnxruntime", seconds=0.4)
        throughput = server.throughput(DENSE, robots=4)
        assert throughput["answers_per_s"] > 0.0 and throughput["cpu_ms_each"] > 0.0
        fairness = server.fairness(DENSE, rate=100.0, greed=10)
    assert 0.0 < fairness["jain_index"] <= 1.0
    assert sum(fairness["fates"].values()) > 0
    assert fairness["computed_without_answer"] == fairness["computed_after_expiry"] == 0
