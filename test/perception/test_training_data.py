"""Training data: labels of rendered images, and their variations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.training.augmentation import vary
from edge_robot.perception.training.dataset import Dataset
from edge_robot.perception.training.rendering import CLASSES, IMAGES_PER_WORLD, label, render
from edge_robot.perception.training.sets import rendered
from edge_robot.sim.camera import Camera
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.world import build_world


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return render([950_000])


def test_rendered_images_come_with_labels_inside_them(dataset: Dataset) -> None:
    assert dataset.images.shape == (IMAGES_PER_WORLD, 360, 480, 3)
    assert dataset.images.std() > 10
    boxes = dataset.labels[:, 2:6]
    assert np.all(boxes[:, :2] >= 0)
    assert np.all(boxes[:, 2:] <= [480, 360])
    assert np.all(boxes[:, 2:] > boxes[:, :2])
    assert np.all(np.diff(dataset.labels[:, 0]) >= 0)
    assert {"person", "shelf"} <= {CLASSES[int(index)] for index in dataset.labels[:, 1]}


def test_the_same_seed_gives_the_same_images(dataset: Dataset) -> None:
    again = render([950_000])
    np.testing.assert_array_equal(again.labels, dataset.labels)
    np.testing.assert_array_equal(again.images, dataset.images)


def test_a_set_reads_back_as_saved(dataset: Dataset, tmp_path: Path) -> None:
    dataset.save(tmp_path)
    again = Dataset.load(tmp_path)
    np.testing.assert_array_equal(again.images, dataset.images)
    assert again.classes == CLASSES
    for index in range(len(dataset)):
        np.testing.assert_array_equal(again.truth(index).boxes, dataset.truth(index).boxes)
    assert sum(len(again.truth(index).boxes) for index in range(len(again))) == len(again.labels)
    near = dataset.truth(0, within=0.0)
    assert near.ignore.all()


def test_sets_join_to_one_with_every_image_and_its_labels(dataset: Dataset) -> None:
    joined = Dataset.join([dataset, dataset])
    assert len(joined) == 2 * len(dataset)
    for index in range(len(dataset)):
        for again in (index, index + len(dataset)):
            np.testing.assert_array_equal(joined.images[again], dataset.images[index])
            np.testing.assert_array_equal(joined.truth(again).boxes, dataset.truth(index).boxes)
            np.testing.assert_array_equal(joined.truth(again).ignore, dataset.truth(index).ignore)


def test_worlds_that_an_earlier_run_has_rendered_are_not_rendered_again(
    dataset: Dataset, tmp_path: Path
) -> None:
    for folder in ("training/0_10", "training/10_5", "scoring/0_1", "calibration/0_10"):
        dataset.save(tmp_path / folder)
    Dataset.join([dataset, dataset]).save(tmp_path / "calibration/10_10")
    said: list[str] = []
    sets = rendered(tmp_path, 15, 1, said.append, workers=1)
    assert (len(sets.training), len(sets.calibration), len(sets.scoring)) == (24, 36, 12)
    assert sets.trained_on == "24 images of 15 rendered worlds"
    assert not said


def test_a_person_straight_ahead_is_labelled_where_geometry_says() -> None:
    scenario = Scenario.generate(3, people=1)
    world = build_world(scenario)
    x, y, yaw = scenario.start.x, scenario.start.y, scenario.start.yaw
    forward = np.array([np.cos(yaw), np.sin(yaw)])
    distance = 3.0
    place = np.array([[*((x, y) + distance * forward), yaw]])
    world.place_people(place, np.zeros(1), np.zeros(1))
    world.place_robot(x, y, yaw)
    camera = Camera(world, 240, 180, backend="raycast")
    rows, unclear = label(world, camera)
    people = np.flatnonzero(rows[:, 0] == CLASSES.index("person"))
    assert len(people) == 1
    assert not unclear[people[0]]
    _, x1, y1, x2, y2, depth = rows[people[0]]
    assert depth == pytest.approx(distance, abs=0.3)
    assert 0.5 * (x1 + x2) == pytest.approx(120, abs=8)
    # The feet: below the horizon by the camera's height over the distance.
    camera_height = world.data.cam_xpos[world.model.camera("camera_front").id][2]
    assert y2 == pytest.approx(90 + camera.intrinsics.fy * camera_height / depth, abs=5)
    tall = scenario.people[0].height
    assert y2 - y1 == pytest.approx(camera.intrinsics.fy * tall / depth, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), plain=st.booleans())
def test_boxes_follow_what_they_frame_through_every_variation(seed: int, plain: bool) -> None:
    """A checkered block keeps its contrast whatever light and noise do; the ground is flat."""
    image = np.full((360, 480, 3), 114, np.uint8)
    x1, y1, x2, y2 = 200, 120, 280, 240
    block = np.indices((y2 - y1, x2 - x1)).sum(axis=0) // 20 % 2 * 255
    image[y1:y2, x1:x2] = block[:, :, None]
    boxes = np.array([[x1, y1, x2, y2]], np.float32)
    rng = np.random.default_rng(seed)
    varied, moved, ignore = vary(image, boxes, np.zeros(1, bool), 320, 240, plain, rng)
    assert varied.shape == (240, 320, 3)
    left, top, right, bottom = np.round(moved[0]).astype(int)
    assert 0 <= left <= right <= 320
    assert 0 <= top <= bottom <= 240
    if ignore[0]:
        return
    assert varied[top:bottom, left:right].std() > 25
    if plain:
        outside = varied.astype(float).copy()
        outside[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4] = np.nan
        assert np.nanstd(outside.mean(axis=2)) < 20


def test_what_is_cropped_away_is_ignored() -> None:
    image = np.zeros((360, 480, 3), np.uint8)
    boxes = np.array([[0, 0, 12, 12]], np.float32)  # in a corner: a zoomed view often misses it
    rng = np.random.default_rng(1)
    results = [vary(image, boxes, np.zeros(1, bool), 320, 240, False, rng) for _ in range(50)]
    lost = [ignore[0] for _, _, ignore in results]
    assert any(lost)
    assert not all(lost)
    for _, moved, ignore in results:
        if not ignore[0]:
            assert np.all(moved[0, 2:] - moved[0, :2] >= 3)
