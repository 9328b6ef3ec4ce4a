"""The evaluator on cases counted by hand, the readers on bad files, and published figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_robot.bench.fusion.tracking_drives import VALIDATION
from edge_robot.errors import UserError
from edge_robot.fusion.scoring.kitti import (
    Objects,
    read_detections,
    read_labels,
    read_oxts,
    read_trajectory,
)
from edge_robot.fusion.scoring.mota import Score, score

RESULTS = "EDGE_ROBOT_AB3DMOT_V1_RESULTS"
LABELS = "EDGE_ROBOT_KITTI_LABELS"


def line(
    frame: int,
    track: int,
    x: float = 0.0,
    name: str = "Car",
    *,
    truncation: int = 0,
    occlusion: int = 0,
    height: float = 50.0,
    score: float | None = None,
) -> str:
    """One car 20 m ahead, x m to the right, at 10 pixels per metre in the image."""
    left = 500 + 10 * x
    text = (
        f"{frame} {track} {name} {truncation} {occlusion} 0 {left} 100 {left + 40} {100 + height}"
    )
    text += f" 1.5 1.6 4.0 {x} 1.7 20.0 -1.57"
    return text if score is None else f"{text} {score}"


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[[Iterable[str], Iterable[str]], Score]:
    def run(labels: Iterable[str], results: Iterable[str]) -> Score:
        objects = []
        for name, lines in (("labels", labels), ("results", results)):
            (tmp_path / name).write_text("\n".join(lines))
            objects.append({"0000": read_labels(tmp_path / name)})
        return score(*objects, "car")

    return run


FRAMES = range(10)
TRUTH = [line(f, 7) for f in FRAMES]


def track(frames: Iterable[int], number: int, x: float = 0.0, **more: float) -> list[str]:
    return [line(f, number, x, score=5.0, **more) for f in frames]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("results", "misses", "false", "switches", "fragments"),
    [
        (track(FRAMES, 1), 0, 0, 0, 0),
        (track(range(5), 1) + track(range(5, 10), 2), 0, 0, 1, 1),
        (track([0, 1, 2, 3, 6, 7, 8, 9], 1), 2, 0, 0, 1),
        (track(range(4), 1) + track(range(6, 10), 2), 2, 0, 0, 1),
        (track([9], 1), 9, 0, 0, 1),
        (track(FRAMES, 1, x=0.9) + track(FRAMES, 2, x=0.3), 0, 10, 0, 0),
        (track(FRAMES, 1) + track(range(3), 2, x=9.0), 0, 3, 0, 0),
        (track(FRAMES, 1) + track(range(3), 2, x=9.0, height=25.0), 0, 0, 0, 0),
    ],
    ids=[
        "perfect",
        "switch",
        "gap",
        "gap and switch",
        "found at the very end, which KITTI's kit calls a fragment",
        "nearest wins",
        "false",
        "false but small",
    ],
)
def test_each_kind_of_error_is_counted_once(
    evaluate: Callable[..., Score],
    results: list[str],
    misses: int,
    false: int,
    switches: int,
    fragments: int,
) -> None:
    best = evaluate(TRUTH, results).best
    counted = (best.misses, best.false_positives, best.switches, best.fragments)
    assert counted == (misses, false, switches, fragments)
    assert best.mota == pytest.approx(1.0 - (misses + false + switches) / 10)


@pytest.mark.parametrize(
    "label",
    [
        line(3, 8, 9.0, truncation=1),
        line(3, 8, 9.0, occlusion=3),
        line(3, 8, 9.0, "Van"),
        line(3, -1, 9.0, "DontCare"),
    ],
    ids=["truncated", "hidden", "neighbouring class", "region nobody labelled"],
)
@pytest.mark.parametrize("is_found", [False, True])
def test_what_is_ignored_is_neither_right_nor_wrong(
    evaluate: Callable[..., Score], label: str, is_found: bool
) -> None:
    found = [line(3, 2, 9.0, score=5.0)] if is_found else []
    best = evaluate([*TRUTH, label], track(FRAMES, 1) + found).best
    assert (best.mota, best.misses, best.false_positives) == (1.0, 0, 0)


def test_averages_over_recall(evaluate: Callable[..., Score]) -> None:
    labels = [line(f, i, 10.0 * i) for f in range(60) for i in range(2)]
    sure = [line(f, 1, 0.0, score=2.0) for f in range(60)]
    half = [line(f, 2, 10.0, score=1.0) for f in range(30)]
    got = evaluate(labels, sure + half)
    # 120 labels, 3 to a step: steps 1–20 with the first track alone, 21–30 with both, none beyond.
    assert [p.threshold for p in got.curve] == [2.0] * 20 + [1.0] * 10
    assert got.samota == pytest.approx(30 / 40)
    assert got.amota == pytest.approx((20 * 0.5 + 10 * 0.75) / 40)
    assert got.amotp == pytest.approx(30 / 40)
    assert (got.best.mota, got.best.threshold) == (0.75, 1.0)


def test_overlap_is_the_precision(evaluate: Callable[..., Score]) -> None:
    # Cars along the line of sight, moved by half their width of 1.6 m: IoU 1/3.
    assert evaluate(TRUTH, track(FRAMES, 1, x=0.8)).best.motp == pytest.approx(1 / 3, abs=1e-3)


def test_no_result_at_all_misses_everything(evaluate: Callable[..., Score]) -> None:
    got = evaluate(TRUTH, [])
    assert (got.samota, got.best.mota, got.best.misses) == (0.0, 0.0, 10)


def test_one_track_twice_in_a_frame_is_an_error(evaluate: Callable[..., Score]) -> None:
    with pytest.raises(UserError, match="twice in one frame"):
        evaluate(TRUTH, track([0], 1) + track([0], 1, x=5.0))


def test_boxes_turn_to_the_robots_axes(tmp_path: Path) -> None:
    file = tmp_path / "0000.txt"
    file.write_text("4,2,1,2,3,4,0.5,1.5,1.6,4.0,3.0,1.7,20.0,-1.5707963,0.1\n")
    found = read_detections(file)
    # 20 m ahead, 3 m to the right, standing 1.7 m below the camera, heading away.
    assert found.boxes[0] == pytest.approx([20.0, -3.0, -0.95, 4.0, 1.6, 1.5, 0.0], abs=1e-6)
    assert (found.names[0], found.frames[0], found.scores[0]) == ("car", 4, 0.5)


def test_poses_of_camera_and_inertial_unit_agree(tmp_path: Path) -> None:
    """A car that drives 10 m north, then turns left by a quarter."""
    camera, oxts = tmp_path / "camera.txt", tmp_path / "oxts.txt"
    camera.write_text("1 0 0 0 0 1 0 0 0 0 1 0\n0 0 -1 0 0 1 0 0 1 0 0 10\n")
    north = 10.0 / 6_378_137.0 * 180.0 / np.pi
    yaws = (np.pi / 2, np.pi)
    rows = [[n, 8.0, 100.0, 0, 0, yaw, *[0] * 24] for n, yaw in zip((0, north), yaws, strict=True)]
    oxts.write_text("\n".join(" ".join(map(str, row)) for row in rows))
    a, b = read_trajectory(camera), read_oxts(oxts)
    assert a[1, :3, 3] == pytest.approx([10.0, 0.0, 0.0])
    step_a, step_b = (np.linalg.inv(poses[0]) @ poses[1] for poses in (a, b))
    assert step_a[:3, :3] == pytest.approx(step_b[:3, :3], abs=1e-9)
    # The camera, 1.08 m before and 0.32 m right of the unit, swings round it.
    assert step_b[:3, 3] == pytest.approx([10.0 - 1.08 + 0.32, 1.08 + 0.32, 0.0])


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("0 1 Car 0 0", ":1: 5 columns"),
        (line(0, 1) + "\n\n" + line(1, 1).replace("4.0", "nan"), ":3: a number is not finite"),
        (line(0, 1).replace("4.0", "four"), ":1: could not convert"),
        (line(0, 1).replace("4.0", "-4.0"), "negative size"),
        (line(-3, 1), "-3 is no frame number"),
        (line(0, 1) + "é", "not a text file in ASCII"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, where: str) -> None:
    file = tmp_path / "0000.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=where) as caught:
        read_labels(file)
    assert str(file) in str(caught.value)


CELLS = st.one_of(
    st.sampled_from(["0", "-1", "2", "1e999", "nan", "Car", "", "٣"]), st.text(max_size=3)
)
TEXT = st.lists(st.lists(CELLS, max_size=31).map(" ".join), max_size=3).map("\n".join)


@given(st.one_of(TEXT.map(str.encode), st.binary(max_size=60)))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_readers_answer_or_say_what_is_wrong(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "fuzzed.txt"
    for data in (content, content.replace(b" ", b",")):
        file.write_bytes(data)
        for read in (read_labels, read_detections, read_trajectory, read_oxts):
            try:
                found = read(file)
            except UserError:
                continue
            assert np.isfinite(found.boxes if isinstance(found, Objects) else found).all()


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # Their page has 708 misses; their program prints 788, and only that gives their MOTA.
        ("car", (93.28, 45.43, 77.41, 86.24, 78.43, 0, 15, 365, 788)),
        ("pedestrian", (74.39, 29.77, 53.90, 69.50, 67.77, 1, 74, 276, 2708)),
        ("cyclist", (72.94, 37.95, 63.03, 79.82, 76.55, 0, 4, 55, 217)),
    ],
)
def test_published_figures_of_ab3dmot_are_reproduced(
    name: str, published: tuple[float, ...]
) -> None:
    """What its authors print for their first version's own output, to the last digit."""
    folders = [os.environ.get(LABELS), os.environ.get(RESULTS)]
    if not all(folders):
        pytest.skip(f"set {LABELS} and {RESULTS} to folders of KITTI labels and AB3DMOT's results")
    labels, results = (
        {s: read_labels(Path(str(folder), sub, f"{s}.txt")) for s in VALIDATION}
        for folder, sub in zip(folders, ("", name), strict=True)
    )
    got = score(labels, results, name)
    best = got.best
    ratios = (got.samota, got.amota, got.amotp, best.mota, best.motp)
    counts = (best.switches, best.fragments, best.false_positives, best.misses)
    assert (*(round(100 * ratio, 2) for ratio in ratios), *counts) == published
