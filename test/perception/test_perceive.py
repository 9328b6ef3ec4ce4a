"""The command for photographs, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edge_robot.cli import perceive
from edge_robot.errors import UserError
from edge_robot.perception.detections import Detections
from edge_robot.perception.drawing import colour_of, draw_detections
from edge_robot.perception.images import decode_image

PHOTO = Path(__file__).parent / "warehouse.jpg"


def run(*arguments: str | Path) -> str:
    """Run `edge-robot perceive` and return what it prints; errors come through."""
    app = typer.Typer()
    perceive.register(app)
    result = CliRunner().invoke(app, [str(item) for item in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_detections_are_written_and_drawn(tmp_path: Path) -> None:
    copy = tmp_path / "again.png"
    copy.write_bytes(PHOTO.read_bytes())
    json_file, folder = tmp_path / "found.json", tmp_path / "new" / "drawn"
    output = run(PHOTO, copy, "--json", json_file, "--output", folder, "--min-score", "0.3")
    assert "warehouse_edge.onnx" in output
    first, second = json.loads(json_file.read_text())
    assert first["image"] == str(PHOTO)
    assert first["detections"] == second["detections"]
    people = [item for item in first["detections"] if item["class"] == "person"]
    assert people
    for item in first["detections"]:
        x1, y1, x2, y2 = item["box"]
        assert 0 <= x1 < x2 <= 480
        assert 0 <= y1 < y2 <= 360
        assert item["score"] >= 0.3
    drawn = cv2.imread(str(folder / "warehouse.png"))
    assert drawn.shape == (360, 480, 3)
    assert np.any(drawn != cv2.imread(str(PHOTO)))


def test_a_lower_min_score_reports_more(tmp_path: Path) -> None:
    counts = []
    for score in ("0.05", "0.6"):
        run(PHOTO, "--json", tmp_path / "found.json", "--min-score", score)
        counts.append(len(json.loads((tmp_path / "found.json").read_text())[0]["detections"]))
    assert counts[0] > counts[1] > 0


def test_bad_input_is_said(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    for bad, reason in (
        (text, "no JPEG or PNG"),
        (empty, "no JPEG or PNG"),
        (tmp_path, "cannot be read"),
        (tmp_path / "missing.jpg", "cannot be read"),
    ):
        with pytest.raises(UserError, match=reason) as raised:
            run(bad)
        assert str(bad) in str(raised.value)
    with pytest.raises(UserError, match="no model file"):
        run(PHOTO, "--model", "no_such_model")
    with pytest.raises(UserError, match="--json"):
        run(PHOTO, "--json", tmp_path / "no" / "folder.json")
    with pytest.raises(UserError, match="--output"):
        run(PHOTO, "--output", text)
    with pytest.raises(UserError, match="overwrite each other"):
        run(PHOTO, PHOTO, "--output", tmp_path)


def test_a_damaged_photograph_is_said_or_read() -> None:
    """Whatever is cut off or overwritten, there is an image of the right kind or a UserError."""
    whole = PHOTO.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(50):
        damaged = bytearray(whole[: rng.integers(len(whole))])
        for place in rng.integers(0, max(1, len(damaged)), 5):
            if damaged:
                damaged[place] = int(rng.integers(256))
        try:
            image = decode_image(bytes(damaged), "damaged.png")
        except UserError:
            continue
        assert image.ndim == 3
        assert image.dtype == np.uint8


def test_drawing_leaves_the_image_alone_and_marks_every_box() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    boxes = np.array([[0, 0, 30, 40], [150, 60, 200, 100]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.5], np.float32), np.array([0, 1]), ("person", "box"))
    drawn = draw_detections(image, found)
    assert not image.any()
    assert tuple(drawn[40, 15]) == colour_of("person")  # the lower edge
    assert tuple(drawn[80, 150]) == colour_of("box")
    assert colour_of("person") != colour_of("box")
