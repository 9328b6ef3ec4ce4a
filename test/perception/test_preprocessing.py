"""Placing an image in a network's input, and boxes back into the image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_robot.perception.preprocessing import (
    ByteWriter,
    Placement,
    RowWriter,
    TensorWriter,
    to_tensor,
)

sizes = st.integers(1, 700)


def stretch(image: NDArray, width: int, height: int) -> tuple[NDArray, Placement]:
    """Scale an image as the writers do, by the plainest code there is."""
    rows, columns = image.shape[:2]
    placement = Placement(width / columns, height / rows, columns, rows)
    if (columns, rows) == (width, height):
        return image, placement
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), placement


def letterbox(image: NDArray, width: int, height: int, pad: int) -> tuple[NDArray, Placement]:
    """Likewise, but keep the aspect, and fill the rest on the right and at the bottom."""
    rows, columns = image.shape[:2]
    scale = min(width / columns, height / rows)
    size = (min(width, max(1, round(columns * scale))), min(height, max(1, round(rows * scale))))
    scaled, placement = stretch(image, *size)
    filled = np.full((height, width, 3), pad, np.uint8)
    filled[: size[1], : size[0]] = scaled
    return filled, placement


def written(image: NDArray, width: int, height: int, **how: Any) -> tuple[NDArray, Placement]:
    """Return an image as `TensorWriter` places it, (height, width, 3)."""
    tensor = np.full((1, 3, height, width), np.nan, np.float32)
    placement = TensorWriter(tensor, **how).write(image)
    return tensor[0].transpose(1, 2, 0), placement


@settings(max_examples=60, deadline=None)
@given(raw_width=sizes, raw_height=sizes, width=st.integers(8, 420), height=st.integers(8, 420))
def test_letterbox_keeps_the_aspect_and_its_inverse_restores_boxes(
    raw_width: int, raw_height: int, width: int, height: int
) -> None:
    image = np.full((raw_height, raw_width, 3), 200, np.uint8)
    filled, placement = written(image, width, height, pad=114)
    assert filled.shape == (height, width, 3)
    used = raw_width * placement.scale_x, raw_height * placement.scale_y
    assert used[0] == pytest.approx(width, abs=0.6) or used[1] == pytest.approx(height, abs=0.6)
    inside = filled[: round(used[1]), : round(used[0])]
    assert np.all(inside == 200)
    assert np.count_nonzero(filled == 114) == filled.size - inside.size
    boxes = np.array([[0.1, 0.2, 0.7, 0.9]], np.float32) * ([raw_width, raw_height] * 2)
    in_input = boxes * np.array([placement.scale_x, placement.scale_y] * 2, np.float32)
    np.testing.assert_allclose(placement.to_raw(in_input), boxes, rtol=1e-4)


def test_letterbox_puts_the_image_at_the_top_left() -> None:
    image = np.zeros((100, 50, 3), np.uint8)
    filled, _ = written(image, 200, 200, pad=255)
    assert np.all(filled[:, :100] == 0)
    assert np.all(filled[:, 100:] == 255)


def test_a_mark_is_found_where_the_placement_says() -> None:
    image = np.zeros((360, 480, 3), np.uint8)
    image[120:180, 240:300] = 255
    for resize in ("letterbox", "stretch"):
        filled, placement = written(image, 320, 320, pad=0, resize=resize)
        rows, columns = np.nonzero(filled[:, :, 0] > 127)
        seen = np.array(
            [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32
        )
        np.testing.assert_allclose(placement.to_raw(seen), [[240, 120, 300, 180]], atol=2.0)


def test_boxes_are_clipped_to_the_image() -> None:
    _, placement = written(np.zeros((100, 200, 3), np.uint8), 100, 100, resize="stretch")
    assert placement.to_raw(np.array([[-5, -5, 500, 500]], np.float32)).tolist() == [
        [0, 0, 200, 100]
    ]


def test_tensor_is_normalised_per_channel_in_the_order_of_the_network() -> None:
    image = np.full((2, 4, 3), (10, 20, 30), np.uint8)
    tensor = to_tensor(image, (30.0, 20.0, 10.0), (1.0, 2.0, 10.0), swap_channels=True)
    assert tensor.shape == (1, 3, 2, 4)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert tensor[0, :, 0, 0].tolist() == [0.0, 0.0, 0.0]
    plain = to_tensor(image, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), swap_channels=False)
    assert plain[0, :, 1, 3].tolist() == [10.0, 20.0, 30.0]


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4),
    width=st.integers(8, 420),
    height=st.integers(8, 420),
    resize=st.sampled_from(["letterbox", "stretch"]),
    pad=st.integers(0, 255),
    mean=st.sampled_from([(0.0, 0.0, 0.0), (103.53, 116.28, 123.675)]),
    std=st.sampled_from([(1.0, 1.0, 1.0), (255.0, 255.0, 255.0), (57.375, 57.12, 58.395)]),
    swap=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_writer_does_in_one_pass_what_the_functions_do_one_by_one(
    sizes: list[tuple[int, int]],
    width: int,
    height: int,
    resize: str,
    pad: int,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    swap: bool,
    seed: int,
) -> None:
    """Also of images of several sizes in turn: nothing of one is left in the next."""
    random = np.random.default_rng(seed)
    tensor = np.full((1, 3, height, width), np.nan, np.float32)
    rows = np.full((1, height, width, 3), np.nan, np.float32)
    writer = TensorWriter(tensor, resize=resize, pad=pad, mean=mean, std=std, swap_channels=swap)
    other = RowWriter(rows, resize=resize, pad=pad, mean=mean, std=std, swap_channels=swap)
    for raw_height, raw_width in sizes * 2:
        image = random.integers(0, 256, (raw_height, raw_width, 3), np.uint8)
        image.flags.writeable = False
        if resize == "letterbox":
            resized, expected_placement = letterbox(image, width, height, pad)
        else:
            resized, expected_placement = stretch(image, width, height)
        assert writer.write(image) == expected_placement
        expected = to_tensor(resized, mean, std, swap)
        np.testing.assert_array_equal(tensor, expected)
        assert other.write(image) == expected_placement
        np.testing.assert_array_equal(rows, expected.transpose(0, 2, 3, 1))


def test_the_writer_takes_views_of_any_layout() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for view in (image[:, ::-1], image[::2, ::3], image[:, :, ::-1]):
        for height, width in (view.shape[:2], (24, 24)):
            tensor = np.zeros((1, 3, height, width), np.float32)
            rows = np.zeros((1, height, width, 3), np.float32)
            TensorWriter(tensor).write(view)
            RowWriter(rows, swap_channels=True).write(view)
            resized, _ = letterbox(np.ascontiguousarray(view), width, height, 114)
            expected = to_tensor(resized, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), False)
            np.testing.assert_array_equal(tensor, expected)
            np.testing.assert_array_equal(rows, expected.transpose(0, 2, 3, 1)[..., ::-1])


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4),
    width=st.integers(8, 420),
    height=st.integers(8, 420),
    resize=st.sampled_from(["letterbox", "stretch"]),
    pad=st.integers(0, 255),
    identity=st.booleans(),
    swap=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_writer_of_bytes_does_the_same(
    sizes: list[tuple[int, int]],
    width: int,
    height: int,
    resize: str,
    pad: int,
    identity: bool,
    swap: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    table = random.integers(0, 256, (3, 256), np.uint8)
    if identity:
        table[:] = np.arange(256)
    tensor = np.full((1, height, width, 3), 77, np.uint8)
    writer = ByteWriter(tensor, table, resize=resize, pad=pad, swap_channels=swap)
    for raw_height, raw_width in sizes * 2:
        image = random.integers(0, 256, (raw_height, raw_width, 3), np.uint8)
        image.flags.writeable = False
        if resize == "letterbox":
            resized, expected_placement = letterbox(image, width, height, pad)
        else:
            resized, expected_placement = stretch(image, width, height)
        assert writer.write(image) == expected_placement
        expected = resized[:, :, ::-1] if swap else resized
        for channel in range(3):
            np.testing.assert_array_equal(
                tensor[0, :, :, channel], table[channel][expected[:, :, channel]]
            )
