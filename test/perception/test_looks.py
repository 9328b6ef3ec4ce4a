"""Further looks at an image: their geometry, what is made of several, and when they stop."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections
from edge_robot.perception.detector import Detector
from edge_robot.perception.looks import FURTHER_LOOKS, Look, look_further, merge

NAMES = ("person", "pallet")
IMAGE = np.zeros((360, 480, 3), np.uint8)


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Return detections of rows x1 y1 x2 y2 score class, best score first, as detectors do."""
    table = np.array(sorted(rows, key=lambda row: -row[4]), np.float64).reshape(-1, 6)
    boxes, scores = table[:, :4].astype(np.float32), table[:, 4].astype(np.float32)
    return Detections(boxes, scores, table[:, 5].astype(np.int64), NAMES)


def same(a: Detections, b: Detections) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("boxes", "scores", "class_ids")
    )


@st.composite
def looks(draw: st.DrawFn) -> Look:
    x1, y1 = (draw(st.floats(0.0, 0.8)) for _ in "xy")
    x2, y2 = (draw(st.floats(start + 0.1, 1.0)) for start in (x1, y1))
    return Look((x1, y1, x2, y2), draw(st.booleans()))


@given(look=looks(), width=st.integers(60, 2000), height=st.integers(60, 2000), data=st.data())
def test_a_box_seen_in_a_part_is_exactly_where_it_is_in_the_image(
    look: Look, width: int, height: int, data: st.DataObject
) -> None:
    x1, y1, x2, y2 = look.pixels(height, width)
    left, top = data.draw(st.integers(x1, x2 - 1)), data.draw(st.integers(y1, y2 - 1))
    right, bottom = data.draw(st.integers(left + 1, x2)), data.draw(st.integers(top + 1, y2))
    image = np.zeros((height, width, 3), np.uint8)
    image[top:bottom, left:right] = 255
    rows, columns = np.nonzero(look.crop(image)[:, :, 0])
    seen = found((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.9, 0))
    back = look.to_image(seen, height, width)
    near_x, near_y = max(2.0, (x2 - x1) / 120), max(2.0, (y2 - y1) / 120)
    cut = (
        (x1 > 0 and left < x1 + near_x)
        or (y1 > 0 and top < y1 + near_y)
        or (x2 < width and right > x2 - near_x)
        or (y2 < height and bottom > y2 - near_y)
    )
    if cut:
        assert len(back) == 0
    else:
        np.testing.assert_array_equal(back.boxes, [[left, top, right, bottom]])


_ROWS = st.tuples(
    st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40),
    st.integers(1, 9), st.integers(0, 1),
)  # fmt: skip
_RESULTS = st.lists(
    st.lists(_ROWS, max_size=8).map(
        lambda rows: found(*((x, y, x + w, y + h, s / 10, c) for x, y, w, h, s, c in rows))
    ),
    min_size=1,
    max_size=5,
)


@given(results=_RESULTS, seed=st.integers(0, 1000))
def test_the_order_of_the_looks_makes_no_difference(results: list[Detections], seed: int) -> None:
    assert same(merge(random.Random(seed).sample(results, len(results))), merge(results))


@given(results=_RESULTS)
def test_nothing_that_a_look_found_is_lost_and_no_score_falls(results: list[Detections]) -> None:
    merged = merge(results)
    assert np.all(np.diff(merged.scores) <= 0)
    assert sum(map(len, results)) >= len(merged) >= max(map(len, results))
    for item in results:
        for class_id in (0, 1):
            picked, kept = item.class_ids == class_id, merged.class_ids == class_id
            best = merged.scores[kept].max(initial=0.0)
            assert np.all(item.scores[picked] <= best)
            assert np.count_nonzero(kept) >= np.count_nonzero(picked)


@given(item=_RESULTS.map(lambda results: results[0]))
def test_one_result_stays_as_it_is(item: Detections) -> None:
    assert same(merge([item]), item)
    nothing = found()
    assert same(merge([nothing, item, nothing]), item)


def test_two_looks_at_one_object_and_at_two() -> None:
    whole = found((100, 100, 140, 200, 0.4, 0), (300, 100, 340, 200, 0.8, 0))
    part = found((104, 100, 144, 204, 0.6, 0), (302, 100, 342, 200, 0.5, 1))
    merged = merge([whole, part])
    np.testing.assert_allclose(merged.scores, [0.8, 0.6, 0.5])
    assert merged.labels == ["person", "person", "pallet"]  # of two classes: two objects
    weighted = 0.4 * whole.boxes[1] + 0.6 * part.boxes[0]
    np.testing.assert_allclose(merged.boxes[1], weighted, rtol=1e-6)


def test_neighbours_that_one_look_tells_apart_stay_two() -> None:
    pair = found((100, 100, 140, 200, 0.9, 0), (110, 100, 150, 200, 0.8, 0))
    assert iou_matrix(pair.boxes, pair.boxes)[0, 1] > 0.5
    assert len(merge([pair, found((102, 100, 142, 200, 0.7, 0))])) == 2


class Clock:
    """A clock on which each look takes as long as told."""

    def __init__(self, *durations: float) -> None:
        self.now = 0.0
        self._durations = iter(durations)

    def __call__(self) -> float:
        return self.now

    def detect(self, part: NDArray[np.uint8]) -> Detections:
        assert part.flags.c_contiguous
        self.now += next(self._durations)
        return found((50, 50, 60, 60, 0.5, 0))


def test_looks_end_before_the_deadline() -> None:
    first = found((1, 1, 20, 20, 0.9, 0))
    clock = Clock(0.006, 0.008, 0.006)
    merged, taken = look_further(
        clock.detect, IMAGE, first, FURTHER_LOOKS, longest=0.006, deadline=0.02, clock=clock
    )
    assert (taken, clock.now) == (2, 0.014)  # another 0.008 with a margin would end at 0.0236
    assert len(merged) == 3
    clock = Clock()
    result, taken = look_further(
        clock.detect, IMAGE, first, FURTHER_LOOKS, longest=0.006, deadline=0.007, clock=clock
    )
    assert (result, taken) == (first, 0)
    assert look_further(clock.detect, IMAGE, first, (), clock=clock) == (first, 0)


def test_a_mirrored_look_sees_what_is_there() -> None:
    """A box written into a mirrored view comes back to its side of the image."""
    back = Look(mirrored=True).to_image(found((10, 20, 30, 50, 0.9, 0)), 360, 480)
    np.testing.assert_array_equal(back.boxes, [[450, 20, 470, 50]])


def test_people_far_away_are_seen_in_a_part_and_not_in_the_whole() -> None:
    photo = cv2.imread(str(Path(__file__).parent / "warehouse.jpg"))
    far = np.full((720, 960, 3), 127, np.uint8)
    far[315:405, 420:540] = cv2.resize(photo, (120, 90), interpolation=cv2.INTER_AREA)
    detector = Detector("warehouse_edge")
    first = detector.detect(far)
    merged, taken = look_further(detector.detect, far, first, FURTHER_LOOKS[:1])
    assert taken == 1
    assert first.labels.count("person") == 0
    assert merged.labels.count("person") == 2
