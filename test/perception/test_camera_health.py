"""Sick cameras, made from real and rendered images; healthy ones that look suspicious."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_robot.perception.camera_health import (
    CameraHealth,
    Cause,
    HealthLimits,
    Judgement,
    Motion,
    changed_share,
    sampled,
    sharpness,
)

PHOTO = cv2.imread(str(Path(__file__).parent / "warehouse.jpg"))
STANDING, DRIVING = Motion(0.0, 0.0), Motion(0.05, 0.01)
PERIOD = 0.1


class Camera:
    """A health monitor and the clock of its images."""

    def __init__(self) -> None:
        self.health = CameraHealth()
        self.time = 100.0
        self.place = 0
        self.rng = np.random.default_rng(1)

    def show(
        self,
        image: np.ndarray,
        motion: Motion | None = DRIVING,
        *,
        times: int = 1,
        noise: float = 0.0,
    ) -> Judgement:
        for _ in range(times):
            shown = image
            if noise:
                grain = noise * self.rng.standard_normal(image.shape[:2], np.float32)[..., None]
                shown = np.clip(image + grain, 0, 255).astype(np.uint8)
            self.time += PERIOD
            judgement = self.health.see(shown, self.time, self.time + 0.02, motion)
        return judgement

    def drive(self, images: int, *, cover: int = 0) -> Judgement:
        """Show a view that moves by; `cover` columns of it are hidden by something on the lens."""
        for _ in range(images):
            self.place += 7
            view = np.roll(PHOTO, self.place, axis=1)
            view[:, :cover] = 90
            judgement = self.show(view)
        return judgement


@pytest.fixture
def camera() -> Camera:
    return Camera()


def test_a_healthy_camera_on_a_moving_robot(camera: Camera) -> None:
    judgement = camera.drive(60)
    assert judgement.usable
    assert not judgement.causes
    assert not camera.health.since


def test_dark_at_once_and_over_when_the_light_is_back(camera: Camera) -> None:
    camera.drive(5)
    judgement = camera.show((PHOTO * 0.04).astype(np.uint8))
    assert judgement.begun == (Cause.DARK,)
    assert not judgement.usable
    assert camera.health.since == {Cause.DARK: camera.time}
    assert camera.drive(1).usable
    assert Cause.DARK in camera.health.since  # reported a while longer
    ended = [camera.drive(1).ended for _ in range(12)]
    assert (Cause.DARK,) in ended
    assert not camera.health.since


def test_a_night_with_a_lamp_is_not_dark(camera: Camera) -> None:
    night = (PHOTO * 0.04).astype(np.uint8)
    cv2.circle(night, (100, 100), 50, (230, 230, 230), -1)
    assert camera.show(night).usable


def test_over_exposed(camera: Camera) -> None:
    assert camera.show(PHOTO | 0xFA).causes == {Cause.OVEREXPOSED}
    assert not camera.show(np.full_like(PHOTO, 255)).usable


def test_frozen_while_the_robot_moves(camera: Camera) -> None:
    camera.drive(10)
    judgements = [camera.show(PHOTO, DRIVING) for _ in range(6)]
    assert judgements[0].usable
    assert Cause.FROZEN in judgements[-1].causes
    assert [Cause.FROZEN in j.begun for j in judgements].count(True) == 1
    assert camera.drive(1).usable


def test_frozen_though_a_clock_ticks_in_the_image(camera: Camera) -> None:
    for second in range(6):
        image = PHOTO.copy()
        cv2.putText(image, str(second), (5, 20), cv2.FONT_HERSHEY_PLAIN, 1.0, (255, 255, 255))
        judgement = camera.show(image, DRIVING)
    assert Cause.FROZEN in judgement.causes


def test_a_simulated_camera_without_noise_on_a_standing_robot_is_not_frozen(
    camera: Camera,
) -> None:
    camera.drive(40)
    assert camera.show(PHOTO, STANDING, times=100).usable


def test_nor_is_one_of_which_the_motion_is_not_known_and_no_noise_was_seen(camera: Camera) -> None:
    assert camera.show(PHOTO, None, times=100).usable


@pytest.mark.parametrize("motion", [STANDING, None])
def test_a_camera_known_to_be_noisy_that_repeats_itself_is_frozen(
    camera: Camera, motion: Motion | None
) -> None:
    assert camera.show(PHOTO, motion, times=30, noise=1.5).usable
    assert camera.show(PHOTO, motion, times=8).usable  # not for a second yet
    assert Cause.FROZEN in camera.show(PHOTO, motion, times=5).causes


def test_dark_with_noise_is_dark_and_not_frozen(camera: Camera) -> None:
    judgement = camera.show(np.full_like(PHOTO, 3), DRIVING, times=20, noise=1.0)
    assert judgement.causes == {Cause.DARK}
    assert camera.show(np.zeros_like(PHOTO), DRIVING, times=20).causes == {Cause.DARK}


def test_a_copy_of_one_image_is_no_sign_of_anything(camera: Camera) -> None:
    """A replay sends an image again, stamp and all, when its answer was lost."""
    for _ in range(20):
        judgement = camera.health.see(PHOTO, 5.0, 5.0, DRIVING)
    assert judgement.usable


def test_something_on_the_lens(camera: Camera) -> None:
    width = PHOTO.shape[1]
    assert camera.drive(60, cover=width // 2).usable
    assert Cause.OBSTRUCTED in camera.drive(60, cover=width * 9 // 10).causes
    assert camera.drive(40).usable


def test_a_standing_robot_before_a_plain_wall_is_not_obstructed(camera: Camera) -> None:
    wall = np.full_like(PHOTO, 120)
    assert camera.show(wall, STANDING, times=40, noise=1.0).usable


def test_blurred_against_its_own_best_and_sharp_again(camera: Camera) -> None:
    camera.drive(30)
    assert camera.health.best_sharpness is not None
    smeared = cv2.GaussianBlur(PHOTO, (0, 0), 4.0)
    for step in range(10):
        judgement = camera.show(np.roll(smeared, 7 * step, axis=1))
    assert judgement.causes == {Cause.BLURRED}
    assert judgement.usable  # seen badly, but seen
    assert Cause.BLURRED not in camera.drive(2).causes


def test_smeared_by_a_turn_is_not_blurred() -> None:
    sharp = sharpness(PHOTO)
    turning = sharpness(cv2.blur(PHOTO, (25, 1)))
    assert sharp is not None
    assert turning is not None
    assert turning > 0.6 * sharp


@given(st.floats(0.5, 1.0), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_sharpness_does_not_depend_on_contrast_or_brightness(gain: float, offset: int) -> None:
    paler = np.clip(PHOTO * gain + offset, 0, 255).astype(np.uint8)
    reference, found = sharpness(PHOTO), sharpness(paler)
    assert reference is not None
    assert found is not None
    assert abs(found - reference) < 0.25 * reference


def test_recorded_images_are_sharp_and_blurred_ones_stand_out(shared_data: Path) -> None:
    """Within a drive, sharpness keeps close to its best; out of focus by 3 px, far from it."""
    files = sorted((shared_data / "kitti_drive").rglob("*.jpg"))
    if not files:
        pytest.skip("../shared/data/kitti_drive has no images")
    camera, blurred = Camera(), Camera()
    for number, file in enumerate(files):
        image = cv2.imread(str(file))
        judgement = camera.show(image)
        assert not judgement.causes, file
        if number >= len(files) // 2:
            image = cv2.GaussianBlur(image, (0, 0), 3.0)
        judgement = blurred.show(image)
    assert judgement.causes == {Cause.BLURRED}


def test_late_images_gaps_and_stamps_that_jump_back(camera: Camera) -> None:
    camera.drive(20)
    assert camera.health.period == pytest.approx(PERIOD)
    late = camera.health.see(PHOTO, camera.time + 0.1, camera.time + 0.6, DRIVING)
    assert late.causes == {Cause.LATE}
    assert late.usable
    gap = camera.health.see(np.roll(PHOTO, 9, 1), camera.time + 0.7, camera.time + 0.7, DRIVING)
    assert gap.causes == {Cause.LATE}
    assert camera.health.gaps == 1
    back = camera.health.see(PHOTO, camera.time, camera.time, DRIVING)
    assert Cause.STAMP in back.causes
    assert camera.health.jumps == 1
    ahead = camera.health.see(PHOTO, camera.time + 2.0, camera.time + 1.0, STANDING)
    assert ahead.causes == {Cause.LATE, Cause.AHEAD}  # and after a gap
    unknown = camera.health.see(np.roll(PHOTO, 5, 1), camera.time + 2.1, 0.0, DRIVING)
    assert not unknown.causes


images = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: arrays(np.uint8, (*size, 3))
)
motions = st.one_of(st.none(), st.builds(Motion, st.floats(0, 9), st.floats(0, 9)))


@given(st.lists(st.tuples(images, st.floats(-1e9, 1e9), motions), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_images_of_any_size_and_time_are_judged(
    sequence: list[tuple[np.ndarray, float, Motion | None]],
) -> None:
    health = CameraHealth(HealthLimits())
    for image, stamp, motion in sequence:
        judgement = health.see(image, stamp, stamp, motion)
        assert judgement.causes <= set(health.since)
        assert not set(judgement.ended) & set(health.since)


def test_a_share_is_one_of_all_pixels() -> None:
    before = sampled(PHOTO)
    after = before.copy()
    after[:10] += 1
    assert changed_share(before, after) == pytest.approx(10 / len(before))


def test_judging_takes_no_more_than_reading_the_image_a_few_times() -> None:
    """Against a conversion of the whole image in the same process, as clocks here are noisy."""
    image = cv2.resize(PHOTO, (640, 480))
    health, ratios = CameraHealth(), []
    for number in range(60):
        start = time.perf_counter()
        health.see(image, number * PERIOD, number * PERIOD, DRIVING)
        judged = time.perf_counter()
        cv2.GaussianBlur(image, (0, 0), 3.0)
        ratios.append((judged - start) / (time.perf_counter() - judged))
    assert np.median(ratios) < 1.0
