"""Images meet their detections, in whatever order they come, or go on without."""

from __future__ import annotations

import numpy as np

from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.pairing import MAX_WAITING, Pairing

FOUND = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ())


def pairing() -> Pairing[str]:
    return Pairing(wait=0.15, silence=0.5, now=0.0)


def test_an_image_goes_on_with_its_detections_whichever_comes_first() -> None:
    pairs = pairing()
    assert pairs.add_image(1, "one", 0.1) == []
    assert pairs.add_found(2, FOUND, 0.12) == []
    assert pairs.add_image(2, "two", 0.13) == [("two", FOUND)]
    assert pairs.add_found(1, FOUND, 0.14) == [("one", FOUND)]
    assert pairs.let_go(9.0) == []


def test_an_image_left_out_on_board_is_let_go_when_its_time_is_up() -> None:
    pairs = pairing()
    assert pairs.add_image(1, "one", 0.1) == pairs.add_image(2, "two", 0.2) == []
    assert pairs.let_go(0.2) == []
    assert pairs.let_go(0.26) == [("one", None)]
    assert pairs.add_found(1, FOUND, 0.27) == []  # too late
    assert pairs.add_found(2, FOUND, 0.28) == [("two", FOUND)]


def test_where_nobody_looks_images_go_on_at_once_until_somebody_does() -> None:
    pairs = pairing()
    assert not pairs.silent(0.4)
    assert pairs.silent(0.6)
    assert pairs.add_image(1, "one", 0.6) == [("one", None)]
    pairs.add_found(1, FOUND, 0.7)
    assert pairs.add_image(2, "two", 0.8) == []


def test_neither_images_nor_detections_pile_up() -> None:
    pairs = pairing()
    gone = [pair for k in range(100) for pair in pairs.add_image(k, str(k), 0.1)]
    assert gone == [(str(k), None) for k in range(100 - MAX_WAITING)]
    others = pairing()
    for k in range(100):
        others.add_found(k, FOUND, 0.1)
    met = [pair for k in range(100) for pair in others.add_image(k, str(k), 0.1)]
    assert [image for image, found in met if found is not None] == [
        str(k) for k in range(100 - MAX_WAITING, 100)
    ]
