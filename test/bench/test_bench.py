"""The benchmarks run and report; no figure is asserted, machines differ."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from processor import int8_overflows
from typer.testing import CliRunner

from edge_robot.bench import churn, idle, kill, lidar, soak, transport
from edge_robot.bench.detector.measurement import agreement
from edge_robot.bench.figures import merge, percentiles
from edge_robot.bench.fusion import filters
from edge_robot.bench.processes import Usage, usage
from edge_robot.bench.runtimes import import_time, peer, programs, standalone
from edge_robot.cli import bench
from edge_robot.cli.benches.tables import print_figures
from edge_robot.errors import UserError
from edge_robot.perception.detections import Detections


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    bench.register(app)
    return app


def test_percentiles_are_in_milliseconds() -> None:
    found = percentiles([0.001, 0.002, 0.003])
    assert found == {"p50_ms": 2.0, "p99_ms": 2.98, "max_ms": 3.0, "runs": 3}
    assert percentiles([]) == {}


def test_every_measurement_of_transport_has_its_figures(domain: int) -> None:
    told: list[str] = []
    figures = transport.measure(count=10, rounds=1, passes=1, progress=told.append)
    assert {"p50_ms", "p99_ms", "publish_ms"} <= figures["image_640x480"].keys()
    image = figures["image_640x480"]
    assert image["runs"] + image["lost"] == 10
    many = figures["subscribers_16"]
    assert many["runs"] + many["lost"] == 5 * 16
    assert figures["service_1kB"]["runs"] == 30
    assert figures["start_up"]["node_ms"] < figures["start_up"]["first_message_ms"]
    assert figures["discovery_20_nodes"]["runs"] == figures["import"]["runs"] == 1
    assert len(told) == 9


def test_the_node_that_idles_keeps_its_rate(domain: int) -> None:
    figures = idle.measure(seconds=1.0, rounds=1)["idle_100hz"]
    assert 0.0 < figures["core_share"] < 1.0
    assert figures["rate_hz"] > 50.0


def test_a_sourced_ros_is_kept_from_the_standalone_runtime(
    domain: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = tmp_path / "ros" / "lib" / "site-packages"
    (real / "rclpy").mkdir(parents=True)
    (real / "rclpy" / "__init__.py").write_text("raise RuntimeError('the real one')")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "ros"))
    monkeypatch.setenv("PYTHONPATH", str(real))
    runtime = standalone(domain)
    assert "AMENT_PREFIX_PATH" not in runtime.environment
    assert import_time(runtime) > 0.0


def test_a_peer_that_has_no_rclpy_is_one_clear_line(domain: int) -> None:
    assert "AMENT_PREFIX_PATH" in os.environ or peer(domain) is None
    with pytest.raises(UserError, match="--peer-python"):
        peer(domain, "/no/such/python")


def test_a_program_that_fails_says_why(domain: int) -> None:
    with programs(standalone(domain)) as start:
        program = start("client", nonsense=1)
        with pytest.raises(RuntimeError, match="unexpected keyword argument 'nonsense'"):
            program.next()


def test_churn_counts_what_is_left(domain: int) -> None:
    figures = churn.measure(nodes=10)
    assert figures["churner"]["before"]["threads"] > 0
    assert figures["churner"]["nothing_left"]


def test_survivors_go_on_when_others_are_killed(domain: int) -> None:
    figures = kill.measure(kills=3, quiet=3)
    assert sum(figures["killed"].values()) == 3
    assert figures["survivors"]["sink"]["rates_hz_during"]["twist"] > 0
    assert figures["survivors"]["caller"]["rates_hz_during"]["call"] > 0


def test_growth_is_told_from_noise() -> None:
    times = [10.0 * index for index in range(60)]
    noisy = [Usage(50_000 + index % 3, 8, 11) for index in range(60)]
    growing = [Usage(50_000 + 100 * index, 8, 11) for index in range(60)]
    leaking = [Usage(50_000, 8, 11 + index // 30) for index in range(60)]
    filling = [Usage(50_000 + 60 * min(index, 35), 8, 11) for index in range(60)]
    assert soak.trend(times, noisy)["flat"]
    assert soak.trend(times, filling)["flat"]
    assert not soak.trend(times, growing)["flat"]
    assert soak.trend(times, growing)["rss_slope_kb_per_hour"] == 36_000
    assert not soak.trend(times, leaking)["flat"]
    assert soak.trend(times[:3], noisy[:3])["flat"] is None


def test_a_soak_that_is_ended_early_reports_so_far(domain: int, tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    code = "from edge_robot.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "bench", "soak", "--minutes", "10", "--json", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 60.0
    while "still running" not in (file.read_text() if file.exists() else ""):
        assert time.monotonic() < limit
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30.0) == 0
    figures = json.loads(file.read_text())["soak"]
    assert figures["ended"] == "interrupted"
    assert figures["totals"]["sink"]["image"] > 0
    assert figures["processes"]["sink"]["last"]["rss_kb"] > 0


def test_usage_of_no_process_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError):
        usage(process.pid)


def test_figures_of_two_benchmarks_become_one() -> None:
    figures = {"image": {"p50_ms": 1.0}, "peers": {"rclpy": {"image": {"p50_ms": 2.0}}}}
    merge(figures, {"idle": {"share": 0.1}, "peers": {"rclpy": {"idle": {"share": 0.2}}}})
    assert figures == {
        "image": {"p50_ms": 1.0},
        "idle": {"share": 0.1},
        "peers": {"rclpy": {"image": {"p50_ms": 2.0}, "idle": {"share": 0.2}}},
    }


def test_figures_are_printed_as_json(app: typer.Typer) -> None:
    printed = CliRunner().invoke(app, ["bench", "detector", "--runs", "2", "--json"])
    assert printed.exit_code == 0, printed.output
    figures = json.loads(printed.stdout)["detector"]["warehouse_edge"]["threads_1"]
    assert figures["onnxruntime"]["end_to_end"]["runs"] == 2


def test_figures_are_printed_beside_those_of_rclpy(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures(
        {
            "machine": {"python": "3.11", "machine": "x86_64", "cores": 2},
            "idle_100hz": {"core_share": 0.02, "samples": [1, 2, 3]},
            "peers": {"rclpy": {"idle_100hz": {"core_share": 0.05}}},
            "ratios_to_rclpy": {"idle_100hz": 0.4},
        }
    )
    (row,) = (line for line in capsys.readouterr().out.splitlines() if "core_share" in line)
    assert row.replace("│", " ").split() == ["idle_100hz", "core_share", "0.020", "0.050", "0.40"]


def test_a_file_without_json_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "idle", str(tmp_path / "figures.json")])
    assert isinstance(result.exception, UserError)
    assert "--json" in str(result.exception)


def test_unknown_benchmark_is_one_clear_line(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["bench", "nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.output


def test_the_detector_is_measured_beside_its_peers(app: typer.Typer, tmp_path: Path) -> None:
    photo = Path(__file__).parents[1] / "perception" / "warehouse.jpg"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "one.jpg").write_bytes(photo.read_bytes())
    file = tmp_path / "figures.json"
    options = ["--images", str(tmp_path / "images"), "--runs", "3", "--json", str(file)]
    result = CliRunner().invoke(app, ["bench", "detector", *options])
    assert result.exit_code == 0, result.output
    for threads in ("threads_1", "threads_2"):
        figures = json.loads(file.read_text())["detector"]["warehouse_edge"][threads]
        ours, plain = figures["onnxruntime"], figures["peers"]["plain_onnxruntime"]
        for pipeline in (ours, plain):
            steps = [pipeline[step]["p50_ms"] for step in ("preprocess", "inference", "decode")]
            assert 0.0 < max(steps) < pipeline["end_to_end"]["p99_ms"]
        agreement = figures["agreement"]["onnxruntime"]
        assert agreement["boxes"] > 0
        assert agreement["worst_iou"] > 0.95
        assert agreement["equal"] or int8_overflows()
        ratio = plain["end_to_end"]["p50_ms"] / ours["end_to_end"]["p50_ms"]
        assert figures["ratios"]["onnxruntime"]["to_plain_onnxruntime"] == pytest.approx(
            ratio, abs=0.02
        )
        assert min(ours["cpu"]["p50_ms"], plain["cpu"]["p50_ms"]) > 0.0


def test_the_detectors_figures_are_one_line_for_each_pipeline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = {"p50_ms": 1.0, "p99_ms": 2.0, "runs": 3}
    steps = dict.fromkeys(("preprocess", "inference", "decode", "end_to_end"), step)
    figures = {
        "onnxruntime": steps,
        "peers": {"plain_onnxruntime": steps, "opencv_dnn": "cannot run this model: no Swish"},
        "ratios": {"onnxruntime": {"to_plain_onnxruntime": 1.25}},
        "agreement": {"onnxruntime": {"the_same": 7, "boxes_of_peer": 9}},
    }
    print_figures(
        {
            "machine": {"python": "3.11", "machine": "x86_64", "cores": 2},
            "detector": {"images": {"source": "rendered"}, "edge": {"threads_2": figures}},
        }
    )
    printed = capsys.readouterr().out
    assert "edge, threads 2" in printed
    assert "cannot run this model: no Swish" in " ".join(printed.split())
    (row,) = (line for line in printed.splitlines() if line.split()[:1] == ["onnxruntime"])
    assert row.split() == [
        "onnxruntime", "1.00", "1.00", "1.00", "1.00", "2.00", "1.25", "7/9",
    ]  # fmt: skip


def test_boxes_that_differ_are_said_to_differ() -> None:
    classes = ("person", "box")
    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32)
    scores = np.array([0.9, 0.5], np.float32)
    one = Detections(boxes, scores, np.array([0, 1]), classes)
    assert agreement([one], [one])["equal"]
    for other in (
        Detections(boxes + 1, scores, np.array([0, 1]), classes),
        Detections(boxes, scores - np.float32(0.1), np.array([0, 1]), classes),
        Detections(boxes, scores, np.array([0, 0]), classes),
        Detections(boxes[:1], scores[:1], np.array([0]), classes),
    ):
        assert not agreement([one], [other])["equal"]
        assert not agreement([other], [one])["equal"]


def test_a_folder_without_images_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "detector", "--images", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert "no .jpg or .png" in str(result.exception)


def test_lidar_is_measured_stage_by_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lidar, "SWEEPS", 7)
    monkeypatch.setattr(lidar, "ROUNDS", 1)
    rng = np.random.default_rng(0)
    cloud = rng.uniform((3, -9, -1.8, 0), (30, 9, -1.6, 1), (5000, 4)).astype(np.float32)
    (tmp_path / "000000.bin").write_bytes(cloud.tobytes())
    said: list[str] = []
    figures = lidar.measure(tmp_path, said.append)
    assert len(said) == 2
    for name, sweeps in (("warehouse_16x1800", 7), ("recorded", 1)):
        stages = [figures[name][stage] for stage in ("read", "ground", "objects", "moving")]
        whole = figures[name]["end_to_end"]
        assert all(0.0 < stage["p50_ms"] < whole["p50_ms"] for stage in stages)
        assert whole["runs"] == sweeps
    assert figures["warehouse_16x1800"]["boxes_per_sweep"] > 0
    with pytest.raises(UserError, match="folder of recorded sweeps"):
        lidar.measure(tmp_path / "empty", said.append)


def test_filters_are_measured_beside_filterpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "TRACKS", (1, 20))
    monkeypatch.setattr(filters, "ROUNDS", 2)
    monkeypatch.setattr(filters, "STEPS", 3)
    said: list[str] = []
    figures = filters.measure(said.append)
    assert len(said) == len(figures) == 3
    for name, by_tracks in figures.items():
        for values in by_tracks.values():
            assert values["here"]["runs"] == 2
            assert ("filterpy" in values) == ("constant_turn" not in name)
            assert (values["largest_difference"] or 0.0) < 1e-9
    monkeypatch.setitem(sys.modules, "filterpy", None)
    with pytest.raises(UserError, match="pip install"):
        filters.measure(said.append)
