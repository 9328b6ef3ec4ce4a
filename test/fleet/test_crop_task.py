"""Parts of an image sent as one picture: which ones, and boxes come back to where they were."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lamp import MODEL, answer_with, image_in
from sightings import NAMES, expected, found

from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Boundary, Cleared, Picture, Regions
from edge_robot.fleet.privacy_policy import Kind, Level, PrivacyPolicy, Tier
from edge_robot.fleet.tasks.detect_crop import MAX_REGIONS, doubtful_regions, encode_crops
from edge_robot.fleet.work import InvalidAnswerError
from edge_robot.perception.detections import Detections

SIZE = (640, 480)
NOTHING = found()


def cleared(image: np.ndarray, regions: np.ndarray) -> Cleared[Any]:
    boundary = Boundary(PrivacyPolicy(dict.fromkeys(Tier, Level.CROPS)))
    result = boundary.clear(Kind.DETECT, Regions(Picture(image, NOTHING), regions), Tier.FOG)
    assert isinstance(result, Cleared)
    return result


def answer(boxes: np.ndarray) -> Any:
    n = len(boxes)
    detections = Detections(
        boxes.astype(np.float32), np.full(n, 0.8, np.float32), np.zeros(n, np.int64), NAMES
    )
    return answer_with(detections)


def test_what_is_doubtful_or_missed_is_looked_at_again_with_its_surroundings() -> None:
    doubtful, sure, missed, seen = (
        (300, 200, 340, 280),
        (20, 20, 60, 60),
        (500, 100, 540, 200),
        (22, 18, 62, 58),
    )
    regions = doubtful_regions(
        found((sure, 0.9, 1), (doubtful, 0.4, 0)),
        expected((missed, "person", 0.9), (seen, "box", 0.9), ((0, 300, 50, 400), "box", 0.2)),
        SIZE,
    )
    assert sorted(map(tuple, regions.tolist())) == [(280, 160, 360, 320), (480, 50, 560, 250)]
    assert len(doubtful_regions(found((sure, 0.9, 1)), None, SIZE)) == 0
    hidden = doubtful_regions(found((doubtful, 0.4, 0)), None, SIZE, hidden=("person",))
    assert hidden.shape == (0, 4)


rectangles = st.tuples(
    st.floats(-50, 640), st.floats(-50, 480), st.floats(1, 200), st.floats(1, 200)
).map(lambda r: (r[0], r[1], r[0] + r[2], r[1] + r[3]))


@given(st.lists(st.tuples(rectangles, st.floats(0.05, 0.5)), max_size=12))
@settings(max_examples=50, deadline=None)
def test_regions_lie_in_the_image_and_never_overlap(
    rows: list[tuple[tuple[float, ...], float]],
) -> None:
    regions = doubtful_regions(found(*((box, score, 1) for box, score in rows)), None, SIZE)
    assert len(regions) <= MAX_REGIONS
    assert np.all(regions >= 0) and np.all(regions[:, 2:] <= SIZE)
    covered = np.zeros(SIZE[::-1], int)
    for x1, y1, x2, y2 in regions.tolist():
        covered[y1:y2, x1:x2] += 1
    assert covered.max() <= 1


@st.composite
def parts(draw: st.DrawFn) -> np.ndarray:
    """Return regions apart from each other: at most one in each square of a coarse grid."""
    places = draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6))
    rows = []
    for i, j in sorted(places):
        x, y = 160 * i + draw(st.integers(0, 40)), 160 * j + draw(st.integers(0, 40))
        rows.append((x, y, x + draw(st.integers(20, 120)), y + draw(st.integers(20, 120))))
    return np.array(rows)


@given(parts(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_boxes_come_back_to_the_frame_exactly(regions: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = np.zeros((480, 640, 3), np.uint8)
    # An object in each part, each of a grey of its own, so that its place in the picture is known.
    objects, greys = [], []
    for k, (x1, y1, x2, y2) in enumerate(regions.tolist()):
        left, top = x1 + 3 + rng.integers(4), y1 + 3 + rng.integers(4)
        right, bottom = x2 - 3 - rng.integers(4), y2 - 3 - rng.integers(4)
        objects.append((left, top, right, bottom))
        greys.append(100 + 150 // len(regions) * k)
        image[y1:y2, x1:x2] = 30
        image[top:bottom, left:right] = greys[-1]
    encoded = encode_crops(cleared(image, regions), SIZE, MODEL, 0.0, Encoding(100, 1.0))
    picture = image_in(encoded.request)[..., 0].astype(int)
    boxes = []
    for grey in greys:
        rows, columns = np.nonzero(np.abs(picture - grey) < 3)
        inner = picture != 114  # the grey between the parts, if it is near
        keep = inner[rows, columns]
        rows, columns = rows[keep], columns[keep]
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    opinion = encoded.decode(answer(np.array(boxes)))
    np.testing.assert_array_equal(opinion.found.boxes, objects)
    np.testing.assert_array_equal(opinion.regions, regions)


def test_what_a_part_cuts_off_or_what_lies_over_two_is_not_reported() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    regions = np.array([[0, 100, 100, 200], [300, 100, 400, 200]])
    encoded = encode_crops(cleared(image, regions), SIZE, MODEL, 0.0, Encoding(80, 0.5))
    height, width = image_in(encoded.request).shape[:2]
    assert max(height, width) <= 210 // 2
    second_at = (0, 54) if height > width else (54, 0)
    second = np.array([*second_at, *second_at])
    whole, cut_off, at_the_images_edge = [10, 10, 20, 20], [10, 10, 50, 20], [0, 10, 20, 20]
    spanning = [10, 10, *np.array(second_at) + 20]
    boxes = [whole, cut_off, at_the_images_edge, second + whole, spanning]
    opinion = encoded.decode(answer(np.array(boxes)))
    np.testing.assert_allclose(
        opinion.found.boxes,
        [[20, 120, 40, 140], [0, 120, 40, 140], [320, 120, 340, 140]],
        atol=1e-3,
    )
    with pytest.raises(InvalidAnswerError, match="reaches out"):
        encoded.decode(answer(np.array([[0, 0, 640, 480]])))


def test_parts_of_a_frame_cost_a_fraction_of_its_bytes() -> None:
    image = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    regions = doubtful_regions(found(((300, 200, 340, 280), 0.4, 0)), None, SIZE)
    encoded = encode_crops(cleared(image, regions), SIZE, MODEL, 0.0, Encoding(80, 1.0))
    whole = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    assert encoded.request.ByteSize() < 0.1 * len(whole)
