"""Fusion on a labelled keyframe of six cameras and a lidar, and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_robot.bench.fusion import camera_and_lidar
from edge_robot.bench.fusion.pages import write_report
from edge_robot.bench.fusion.recorded import measure_keyframe
from edge_robot.errors import UserError


def test_what_six_cameras_and_a_lidar_agree_on_is_on_a_label(
    shared_data: Path, tmp_path: Path
) -> None:
    model = str(shared_data / "models/yolox_nano_416.onnx")
    figures, scenes = measure_keyframe(shared_data / "nuscenes_sample", model)
    assert figures["fused_tracks"] >= 2
    assert figures["fused_on_a_label"] == figures["fused_tracks"]
    assert figures["share_of_those_of_the_right_class"] == 1.0
    page = write_report(tmp_path, figures, scenes).read_text()
    assert page.count("<img ") == 7
    assert len(list(tmp_path.glob("*.png"))) == 7


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sample\.json is no keyframe"):
        measure_keyframe(tmp_path, "warehouse_edge")


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--model"):
        camera_and_lidar.measure((), tmp_path, None, None, None, print)
    with pytest.raises(UserError, match="--drive or --keyframe"):
        camera_and_lidar.measure((), None, None, None, tmp_path, print)
