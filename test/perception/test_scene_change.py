"""When an inference may be spared, and when not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.camera_health import Motion
from edge_robot.perception.detections import Detections
from edge_robot.perception.scene_change import LastLook, ReuseLimits, SceneChange

PHOTO = cv2.imread(str(Path(__file__).parent / "warehouse.jpg"))
STANDING = Motion(0.0, 0.0)
FOUND = Detections(
    np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int64), ("person",)
)


def grainy(image: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    grain = np.random.default_rng(seed).standard_normal(image.shape[:2], np.float32)
    return np.clip(image + sigma * grain[..., None], 0, 255).astype(np.uint8)


@given(st.floats(0.0, 1.5), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_noise_is_no_change(sigma: float, seed: int) -> None:
    scene = SceneChange()
    scene.keep(grainy(PHOTO, sigma, seed))
    assert scene.unchanged(grainy(PHOTO, sigma, seed + 1))


@given(
    st.integers(0, 470), st.integers(0, 350), st.floats(0.0, 2.0), st.sampled_from([-1, 1]),
    st.integers(0, 1000),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_something_small_is_seen_wherever_it_comes_up(
    x: int, y: int, sigma: float, sign: int, seed: int
) -> None:
    plain = np.full((360, 480, 3), 120, np.uint8)
    scene = SceneChange()
    scene.keep(grainy(plain, sigma, seed))
    after = plain.copy()
    after[y : y + 10, x : x + 10] = 120 + sign * 40
    assert not scene.unchanged(grainy(after, sigma, seed + 1))


def test_a_shift_by_one_pixel_is_seen_and_so_is_a_slow_change_that_adds_up() -> None:
    scene = SceneChange()
    assert not scene.unchanged(PHOTO)  # nothing kept yet
    scene.keep(PHOTO)
    assert scene.unchanged(PHOTO)
    assert not scene.unchanged(np.roll(PHOTO, 1, axis=1))
    assert not scene.unchanged(PHOTO[:-30])
    lighter = [cv2.add(PHOTO, (step,) * 3) for step in range(1, 8)]
    assert [scene.unchanged(image) for image in lighter][-1] is False


def look(**limits: float) -> LastLook:
    last = LastLook(ReuseLimits(**limits))  # type: ignore[arg-type]
    last.keep(PHOTO, FOUND, 10.0)
    return last


def test_what_was_found_holds_for_a_few_unchanged_images() -> None:
    last = look(reuse_images=3, reuse_time=9.0)
    stamps = [10.1, 10.2, 10.3, 10.4]
    assert [last.holds_for(PHOTO, s, STANDING) is FOUND for s in stamps] == [True] * 3 + [False]
    last.keep(PHOTO, FOUND, 10.4)
    assert last.holds_for(PHOTO, 10.5, None) is FOUND


@pytest.mark.parametrize(
    ("stamp", "motion"),
    [(10.6, STANDING), (10.0, STANDING), (9.9, STANDING), (10.1, Motion(0.01, 0.0))],
)
def test_it_holds_for_no_old_image_and_no_moving_robot(stamp: float, motion: Motion) -> None:
    assert look().holds_for(PHOTO, stamp, motion) is None


def test_it_holds_no_longer_once_the_robot_has_moved_on() -> None:
    last = look()
    assert last.holds_for(PHOTO, 10.1, Motion(0.01, 0.0)) is None
    assert last.holds_for(PHOTO, 10.2, STANDING) is None


def test_it_can_be_forgotten_and_be_switched_off() -> None:
    last = look()
    last.forget()
    assert last.holds_for(PHOTO, 10.1, STANDING) is None
    assert look(reuse_images=0).holds_for(PHOTO, 10.1, STANDING) is None
