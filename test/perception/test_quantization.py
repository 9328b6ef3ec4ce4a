"""Quantization: the gate, ranges, sensitive layers, and the whole search on a tiny detector."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from processor import int8_overflows
from tiny_detector import CARD, SIZE, write_images, write_tiny_detector
from typer.testing import CliRunner

from edge_robot.cli import quantize
from edge_robot.errors import UserError
from edge_robot.perception.detector import Detector
from edge_robot.perception.labelled_images import read_labelled_images, split
from edge_robot.perception.quantization.calibration import (
    METHODS,
    Histogram,
    observe,
    percentile,
    ranges,
)
from edge_robot.perception.quantization.gate import Bounds, judge
from edge_robot.perception.quantization.graph import Structure, analyse
from edge_robot.perception.quantization.qdq import Plan, write_qdq
from edge_robot.perception.quantization.search import FP32, Outcome, Parts, Settings, search
from edge_robot.perception.quantization.sensitivity import Reference, sensitivities

LOUD = 1e5


def nothing() -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_detector(tmp_path_factory.mktemp("model") / "tiny.onnx", LOUD)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_images(tmp_path_factory.mktemp("squares"), 16)


@pytest.fixture(scope="module")
def parts(folders: tuple[Path, Path]) -> Parts:
    return Parts(*split(read_labelled_images(*folders, CARD.classes), [5, 3, 8], seed=1))


@pytest.fixture(scope="module")
def outcome(model: Path, parts: Parts) -> Outcome:
    return search(model, parts, Settings(rounds=10), lambda *_: None)


@pytest.fixture(scope="module")
def structure(model: Path) -> Structure:
    return analyse(model.read_bytes(), "tiny")


@pytest.fixture(scope="module")
def tensors() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.random((1, 3, SIZE, SIZE), np.float32) for _ in range(3)]


def test_the_gate_lets_int8_through_only_if_both_bounds_hold() -> None:
    bounds = Bounds(max_loss=0.5, max_latency_ratio=0.9)
    assert judge(0.5, 0.9, bounds).arithmetic == "int8"
    assert judge(-3.0, 0.2, bounds).arithmetic == "int8"
    slow = judge(0.1, 0.91, bounds)
    assert slow.arithmetic == "fp32"
    assert slow.why == (
        "fp32 is kept: it loses 0.10 mAP (at most 0.5 lost is allowed) and "
        "it takes 0.91 × the time of fp32 (over the bound of 0.9)"
    )
    assert judge(0.51, 0.1, bounds).arithmetic == "fp32"
    assert judge(float("nan"), 0.1, bounds).arithmetic == "fp32"
    assert judge(0.0, float("nan"), bounds).arithmetic == "fp32"


@given(counts=st.lists(st.integers(0, 50), min_size=32, max_size=32), low=st.floats(-9.0, 5.0))
@settings(max_examples=40, deadline=None)
def test_every_calibration_stays_within_what_was_seen_and_holds_zero(
    counts: list[int], low: float
) -> None:
    counts[7] += 1
    histogram = Histogram(np.array(counts), low, low + 4.0)
    for method in METHODS:
        first, last = ranges({"x": histogram}, method)["x"]
        assert min(low, 0.0) - 1e-6 <= first <= 0.0 <= last <= max(low + 4.0, 0.0) + 1e-6


def test_a_rare_outlier_is_cut_off_by_percentile_and_not_by_minmax() -> None:
    counts = np.zeros(2048, np.int64)
    counts[:1000], counts[-1] = 1000, 1
    histogram = Histogram(counts, 0.0, 2048.0)
    assert ranges({"x": histogram}, "minmax")["x"] == (0.0, 2048.0)
    assert percentile(histogram)[1] == pytest.approx(1000.0)
    assert ranges({"x": histogram}, "mse")["x"][1] < 1100.0


def test_the_head_is_found_by_the_graph_and_stays_fp32(structure: Structure) -> None:
    assert [layer.name for layer in structure.layers] == ["conv0", "conv1", "conv2"]
    assert {"conv3", "split", "sigmoid", "concat", "transpose"} <= structure.head


def int8_convolutions(content: bytes) -> set[str]:
    graph = onnx.load_model_from_string(content).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    return {
        node.name
        for node in graph.node
        if node.op_type == "Conv" and makers.get(node.input[1]) == "DequantizeLinear"
    }


@pytest.mark.parametrize("outputs", [True, False])
def test_layers_to_be_left_out_are_left_out(
    structure: Structure, tensors: list[np.ndarray], outputs: bool
) -> None:
    seen = ranges(observe(structure.model, tensors, nothing), "minmax")
    whole = write_qdq(structure, seen, Plan("minmax", outputs=outputs))
    assert int8_convolutions(whole) == {"conv0", "conv1", "conv2"}
    some = Plan("minmax", outputs=outputs, fp32_layers=frozenset({"conv1"}))
    assert int8_convolutions(write_qdq(structure, seen, some)) == {"conv0", "conv2"}
    assert write_qdq(structure, seen, some) == write_qdq(structure, seen, some)


def test_the_layers_around_a_wide_range_are_the_sensitive_ones(
    structure: Structure, tensors: list[np.ndarray]
) -> None:
    seen = ranges(observe(structure.model, tensors, nothing), "minmax")
    reference = Reference(structure, tensors)
    found = sensitivities(structure, seen, Plan("minmax"), reference, nothing)
    assert list(found)[-1] == "conv0"
    margin = 5.0 if int8_overflows() else 10.0  # dB; what overflows adds to the errors of all
    assert found["conv0"] > found["conv1"] + margin
    assert found["conv0"] > found["conv2"] + margin


def test_mixed_precision_saves_what_int8_alone_destroys(outcome: Outcome) -> None:
    scores = outcome.scores["onnxruntime"]
    assert scores[FP32].accuracy.map50_95 > 95.0
    assert scores["minmax"].loss > 20.0
    assert scores[outcome.chosen.name].loss <= 0.5
    assert outcome.chosen.plan.fp32_layers & {"conv1", "conv2"}
    assert outcome.verdict.arithmetic in ("int8", "fp32")
    expected = outcome.chosen.content if outcome.verdict.arithmetic == "int8" else outcome.content
    assert outcome.shipped == expected


def test_the_same_seed_gives_the_same_bytes(model: Path, parts: Parts, outcome: Outcome) -> None:
    again = search(model, parts, Settings(rounds=10), lambda *_: None)
    assert {c.name: c.content for c in again.candidates} == {
        c.name: c.content for c in outcome.candidates
    }
    assert again.sensitivity == outcome.sensitivity
    assert [c.development for c in again.candidates] == [c.development for c in outcome.candidates]


def test_images_that_score_may_be_used_for_nothing_else(
    parts: Parts, folders: tuple[Path, Path]
) -> None:
    with pytest.raises(UserError, match="in two parts"):
        replace(parts, selection=[*parts.selection, parts.scoring[0]])
    with pytest.raises(UserError, match="in two parts"):
        replace(parts, selection=parts.calibration)
    renamed = replace(parts.scoring[0], path=Path("elsewhere.png"))  # the content gives it away
    with pytest.raises(UserError, match="in two parts"):
        replace(parts, calibration=[renamed])
    with pytest.raises(UserError, match="no images for scoring"):
        replace(parts, scoring=[])


def run(*arguments: str | Path) -> str:
    """Run `edge-robot quantize` and return what it prints; errors come through."""
    app = typer.Typer()
    quantize.register(app)
    result = CliRunner().invoke(app, [str(item) for item in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_the_command_writes_a_model_that_loads_with_its_card_and_a_report(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    model = write_tiny_detector(tmp_path / "quiet.onnx", loud=1.0)
    folder, extra = tmp_path / "out", tmp_path / "figures.json"
    generous = ("--max-latency", "1000", "--max-loss", "100", "--rounds", "10")
    output = run(model, "--images", folders[0], "--labels", folders[1], "--output", folder,
                 "--json", extra, *generous)  # fmt: skip
    assert "int8 is chosen" in output
    report = json.loads((folder / "report.json").read_text())
    assert report == json.loads(extra.read_text())
    used = [name for names in report["images"].values() for name in names]
    assert len(used) == len(set(used)) == 16
    detector = Detector(folder / "quiet.onnx")  # checks the hash in the card
    chosen = next(item for item in report["models"] if item["name"] == report["chosen"])
    assert detector.sha256 == chosen["sha256"]
    assert detector.card.figures["arithmetic"] == chosen["arithmetic"]
    page = (folder / "index.html").read_text()
    assert report["why"] in page
    assert all(item["name"] in page for item in report["models"])
    assert "http" not in page.replace("http://www.w3.org", "")
    assert not list(folder.glob("*.part"))


def test_where_int8_does_not_earn_its_place_the_original_is_kept(
    tmp_path: Path, model: Path, folders: tuple[Path, Path]
) -> None:
    output = run(model, "--images", folders[0], "--labels", folders[1], "--output", tmp_path,
                 "--max-latency", "0", "--rounds", "10")  # fmt: skip
    assert "fp32 is kept" in output
    assert (tmp_path / "tiny.onnx").read_bytes() == model.read_bytes()
    assert "over the bound of 0" in Detector(tmp_path / "tiny.onnx").card.figures["gate"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scoring", "15"], "too few"),
        (["--engine", "abacus"], "no engine 'abacus'"),
        (["--output", "MODEL"], "would overwrite"),
    ],
)
def test_what_cannot_be_done_is_said(
    model: Path, folders: tuple[Path, Path], options: list[str], message: str
) -> None:
    options = [str(model.parent) if item == "MODEL" else item for item in options]
    with pytest.raises(UserError, match=message):
        run(model, "--images", folders[0], "--labels", folders[1], *options)


def test_a_quantized_model_is_not_quantized_again(
    structure: Structure, tensors: list[np.ndarray]
) -> None:
    seen = ranges(observe(structure.model, tensors, nothing), "minmax")
    with pytest.raises(UserError, match="quantized already"):
        analyse(write_qdq(structure, seen, Plan("minmax")), "tiny")


def test_a_model_without_convolutions_or_of_other_bytes_is_refused(model: Path) -> None:
    with pytest.raises(UserError, match="no ONNX file"):
        analyse(b"\xff\xff\xff", "noise")
    empty = onnx.load(model)
    del empty.graph.node[:]
    with pytest.raises(UserError, match="no convolution"):
        analyse(empty.SerializeToString(), "empty")


def test_calibration_on_values_that_are_not_finite_is_refused(structure: Structure) -> None:
    broken = np.full((1, 3, SIZE, SIZE), np.inf, np.float32)
    with pytest.raises(UserError, match="not finite"):
        observe(structure.model, [broken], nothing)
