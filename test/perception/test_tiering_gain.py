"""What a second opinion is expected to add to a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.gain import ExpectedGain

NAMES = ("person", "box")


def found(*rows: tuple[float, int]) -> Detections:
    return Detections(
        np.zeros((len(rows), 4), np.float32),
        np.array([score for score, _ in rows], np.float32),
        np.array([class_id for _, class_id in rows], np.int64),
        NAMES,
    )


def test_frames_that_are_all_alike_are_typical() -> None:
    gain = ExpectedGain()
    assert gain.of(found((0.9, 0))) == 1.0  # nothing is known yet
    for _ in range(3):
        gain.learn(found((0.9, 0)))
        assert gain.of(found((0.9, 0))) == pytest.approx(1.0)


def test_by_hand() -> None:
    """Of four frames all show a person and one a box, too: ln 1.5 each time."""
    gain = ExpectedGain()
    gain.learn(found((0.5, 0), (0.5, 1)))
    first = 2 * np.log(1.5) / np.sqrt(np.log(1.5) + 0.02)
    for _ in range(3):
        gain.learn(found((0.5, 0)))
    person = np.log(1.5) / np.sqrt(np.log(1.5) + 0.02)
    box = np.log(1.5) / np.sqrt(np.log(1.5) / 4 + 0.02)
    typical = (first + 3 * person) / 4
    assert gain.of(found((0.5, 0))) == pytest.approx(person / typical)
    assert gain.of(found((0.5, 1), (0.5, 0))) == pytest.approx((person + box) / typical)


def test_the_second_of_a_kind_adds_less_than_the_first_of_another() -> None:
    gain = ExpectedGain()
    for _ in range(10):
        gain.learn(found((0.8, 0)))
        gain.learn(found((0.8, 1)))
    alone, pair, mixed = (
        gain.of(found(*rows)) for rows in ([(0.8, 0)], [(0.8, 0), (0.8, 0)], [(0.8, 0), (0.8, 1)])
    )
    assert alone < pair < 2 * alone
    assert mixed == pytest.approx(2 * alone)


def test_classes_are_known_by_name() -> None:
    gain = ExpectedGain()
    for _ in range(10):
        gain.learn(found((0.9, 0)))
    turned = replace(found((0.9, 1)), class_names=NAMES[::-1])
    assert gain.of(turned) == pytest.approx(gain.of(found((0.9, 0))))
    assert gain.of(turned) < gain.of(found((0.9, 1)))


def test_what_has_become_common_is_worth_less() -> None:
    gain = ExpectedGain()
    for _ in range(1000):
        gain.learn(found((0.9, 0)))
    news = gain.of(found((0.9, 1)))
    for _ in range(1000):
        gain.learn(found((0.9, 1)))
    assert gain.of(found((0.9, 1))) < 0.5 * news
    assert gain.of(found((0.9, 0))) > 1.2 * gain.of(found((0.9, 1)))  # older than the memory


def test_frames_without_detections_are_typical_and_teach_nothing() -> None:
    gain = ExpectedGain()
    gain.learn(found((0.9, 0)))
    before = gain.of(found((0.9, 1)))
    for _ in range(100):
        gain.learn(found())
    assert gain.of(found()) == 1.0
    assert gain.of(found((0.9, 1))) == before
