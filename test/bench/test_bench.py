"""The benchmarks run and report; no figure is asserted, machines differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edge_robot.bench.figures import percentiles
from edge_robot.cli import bench
from edge_robot.errors import UserError


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    bench.register(app)
    return app


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles([0.001, 0.002, 0.003]) == {"p50_ms": 2.0, "p99_ms": 2.98, "runs": 3}


def test_transport_between_two_processes(domain: int) -> None:
    from edge_robot.bench import transport

    assert transport.measure(images=20)["image_640x480"]["runs"] == 20


def test_unknown_benchmark_is_one_clear_line(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["nonsense"])
    assert isinstance(result.exception, UserError)
    assert "nonsense" in str(result.exception)


def test_detector_figures_go_to_a_file(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["detector", "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert json.loads(file.read_text())["detector"]["end_to_end"]["runs"] > 0
