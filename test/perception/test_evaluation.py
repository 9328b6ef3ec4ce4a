"""Average precision on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_robot.perception.detections import Detections
from edge_robot.perception.evaluation import (
    COCO_IOUS,
    Labels,
    Resampled,
    average_precision,
    mean_average_precision,
)

A, B, C = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)


def found(*rows: tuple[tuple[int, ...], float], class_id: int = 0) -> Detections:
    return Detections(
        np.array([box for box, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score in rows], np.float32),
        np.full(len(rows), class_id, np.int64),
        ("person", "box"),
    )


def truth(*boxes: tuple[int, ...], ignore: tuple[int, ...] = ()) -> Labels:
    return Labels(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros(len(boxes), np.int64),
        np.array([index in ignore for index in range(len(boxes))], bool),
    )


def test_all_found_and_nothing_else_is_perfect() -> None:
    assert average_precision([found((A, 0.9), (B, 0.8))], [truth(A, B)], 0, 0.5) == 1.0


def test_half_found_is_half() -> None:
    value = average_precision([found((A, 0.9))], [truth(A, B)], 0, 0.5)
    assert value == pytest.approx(51 / 101)  # recalls 0.00 … 0.50 of 101


def test_a_better_scored_mistake_costs_precision() -> None:
    value = average_precision([found((C, 0.9), (A, 0.8))], [truth(A)], 0, 0.5)
    assert value == pytest.approx(0.5)


def test_the_same_object_twice_is_one_hit_and_one_mistake() -> None:
    value = average_precision([found((A, 0.9), (A, 0.8), (B, 0.7))], [truth(A, B)], 0, 0.5)
    assert value == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101)


def test_an_ignored_object_is_neither_hit_nor_mistake() -> None:
    assert average_precision([found((B, 0.9), (A, 0.8))], [truth(A, B, ignore=(1,))], 0, 0.5) == 1.0


def test_images_are_pooled_by_score() -> None:
    detections = [found((A, 0.5)), found((C, 0.9))]
    value = average_precision(detections, [truth(A), truth()], 0, 0.5)
    assert value == pytest.approx(0.5)


def test_a_class_without_labels_has_no_precision_and_is_left_out_of_the_mean() -> None:
    detections, labels = [found((A, 0.9)), found((B, 0.9), class_id=1)], [truth(A), truth()]
    assert average_precision(detections, labels, 1, 0.5) is None
    assert mean_average_precision(detections, labels) == 1.0


def test_a_loose_box_counts_at_a_low_overlap_only() -> None:
    detections, labels = [found(((0, 0, 10, 6), 0.9))], [truth(A)]
    assert mean_average_precision(detections, labels, (0.5,)) == 1.0
    assert mean_average_precision(detections, labels, (0.5, 0.75)) == 0.5


def test_nothing_found_is_zero() -> None:
    assert average_precision([found()], [truth(A)], 0, 0.5) == 0.0


def test_a_set_weighed_evenly_has_its_own_precision_and_a_doubled_image_counts_twice() -> None:
    detections = [found((A, 0.9), (C, 0.7)), found((B, 0.8), (A, 0.6)), found((C, 0.5))]
    labels = [truth(A, B), truth(A, C, ignore=(1,)), truth(B)]
    rated = Resampled(detections, labels)
    even = mean_average_precision(detections, labels, COCO_IOUS)
    assert rated.mean_average_precision(np.array([1, 1, 1])) == pytest.approx(even)
    doubled = mean_average_precision(
        [detections[0], detections[0], detections[2]],
        [labels[0], labels[0], labels[2]],
        COCO_IOUS,
    )
    assert rated.mean_average_precision(np.array([2, 0, 1])) == pytest.approx(doubled)


def test_draws_repeat_with_the_seed_and_pair_with_those_of_another_detector() -> None:
    labels = [truth(A), truth(B), truth(C), truth(A, B)]
    good = Resampled([found((A, 0.9)), found((B, 0.9)), found((C, 0.9)), found((A, 0.9))], labels)
    worse = Resampled([found((A, 0.9)), found((B, 0.9)), found((A, 0.9)), found((A, 0.9))], labels)
    assert good.draws(20, seed=3).tolist() == good.draws(20, seed=3).tolist()
    difference = good.draws(200, seed=3) - worse.draws(200, seed=3)
    assert np.all(difference >= -1e-12)
    assert difference.max() > 0.0
