"""Raw images of every encoding, held against slow and obvious conversions of single pixels."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.pixel_formats import ENCODINGS, MAX_PIXELS, to_bgr

PACKED = {  # where B, G and R stand among a pixel's values
    "bgr8": (0, 1, 2, 3), "rgb8": (2, 1, 0, 3), "bgra8": (0, 1, 2, 4), "rgba8": (2, 1, 0, 4),
    "mono8": (0, 0, 0, 1), "8UC1": (0, 0, 0, 1), "8UC3": (0, 1, 2, 3), "8UC4": (0, 1, 2, 4),
    "bgr16": (0, 1, 2, 3), "rgb16": (2, 1, 0, 3), "bgra16": (0, 1, 2, 4),
    "rgba16": (2, 1, 0, 4), "mono16": (0, 0, 0, 1),
}  # fmt: skip
PAIRED = {  # where Y of the first, Y of the second pixel, U and V stand among four bytes
    "yuv422": (1, 3, 0, 2), "uyvy": (1, 3, 0, 2), "yuv422_yuy2": (0, 2, 1, 3), "yuyv": (0, 2, 1, 3),
}  # fmt: skip
BAYER = [name for name in ENCODINGS if name.startswith("bayer")]
PLANAR = {"nv12": (0, 1), "nv21": (1, 0), "nv24": (0, 1)}  # where U and V stand in a pair


def bt601(y: int, u: int, v: int) -> list[float]:
    """B, G, R of ITU-R BT.601 with 8 bits and limited range."""
    luma, blue, red = 255 / 219 * (max(y, 16) - 16), (u - 128) / 112, (v - 128) / 112
    r = luma + 255 * (1 - 0.299) * red
    b = luma + 255 * (1 - 0.114) * blue
    g = luma - 255 * (0.114 * (1 - 0.114) * blue + 0.299 * (1 - 0.299) * red) / 0.587
    return [min(255.0, max(0.0, value)) for value in (b, g, r)]


def padded(rows: np.ndarray, padding: int, rng: np.random.Generator) -> np.ndarray:
    """Return rows of bytes with noise behind each."""
    return np.hstack([rows, rng.integers(0, 256, (len(rows), padding), np.uint8)])


sizes = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)


@given(st.sampled_from(sorted(PACKED)), sizes, sizes, st.integers(0, 7), st.booleans(), seeds)
@settings(max_examples=150, deadline=None)
def test_packed_pixels(
    encoding: str, width: int, height: int, padding: int, big_endian: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    *places, channels = PACKED[encoding]
    wide = encoding.endswith("16")
    values = rng.integers(0, 65536 if wide else 256, (height, width, channels))
    expected = np.rint(values[:, :, places] / 257) if wide else values[:, :, places]
    dtype = np.dtype("u1" if not wide else ">u2" if big_endian else "<u2")
    rows = values.astype(dtype).reshape(height, -1).view(np.uint8)
    rows = padded(rows, padding, rng)
    image = to_bgr(
        rows.tobytes(), width=width, height=height, step=rows.shape[1], encoding=encoding,
        big_endian=big_endian,
    )  # fmt: skip
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expected)


@given(st.sampled_from(sorted(PAIRED)), sizes, sizes, st.integers(0, 7), seeds)
@settings(max_examples=60, deadline=None)
def test_pixels_that_share_their_colour(
    encoding: str, half_width: int, height: int, padding: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 256, (height, half_width, 4), np.uint8)
    first, second, u, v = PAIRED[encoding]
    expected = [
        [bt601(pair[y], pair[u], pair[v]) for pair in row.tolist() for y in (first, second)]
        for row in pairs
    ]
    rows = padded(pairs.reshape(height, -1), padding, rng)
    image = to_bgr(
        rows.tobytes(), width=2 * half_width, height=height, step=rows.shape[1], encoding=encoding
    )
    np.testing.assert_allclose(image, expected, atol=1.5)


@given(st.sampled_from(sorted(PLANAR)), sizes, sizes, st.integers(0, 7), seeds)
@settings(max_examples=60, deadline=None)
def test_planes_of_luma_and_chroma(
    encoding: str, half_width: int, half_height: int, padding: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    width, height = 2 * half_width, 2 * half_height
    shared = 1 if encoding == "nv24" else 2
    luma = rng.integers(0, 256, (height, width), np.uint8)
    chroma = rng.integers(0, 256, (height // shared, width // shared, 2), np.uint8)
    u, v = PLANAR[encoding]
    expected = [
        [
            bt601(int(luma[y, x]), *(int(chroma[y // shared, x // shared, i]) for i in (u, v)))
            for x in range(width)
        ]
        for y in range(height)
    ]
    wider = 2 if encoding == "nv24" else 1  # its chroma rows, and so their padding
    data = (
        padded(luma, padding, rng).tobytes()
        + padded(chroma.reshape(len(chroma), -1), wider * padding, rng).tobytes()
    )
    image = to_bgr(data, width=width, height=height, step=width + padding, encoding=encoding)
    np.testing.assert_allclose(image, expected, atol=1.5)


@given(st.sampled_from(BAYER), st.integers(3, 9), st.integers(3, 9), st.booleans(), seeds)
@settings(max_examples=100, deadline=None)
def test_bayer_patterns(
    encoding: str, width: int, height: int, big_endian: bool, seed: int
) -> None:
    """Inside, a colour that a pixel lacks is the mean of the neighbours that have it."""
    rng = np.random.default_rng(seed)
    letters = encoding.split("_")[1][:4]
    mosaic = rng.integers(0, 256, (height, width), np.uint8)
    data = mosaic
    if encoding.endswith("16"):
        data = (mosaic.astype(np.uint16) * 257).astype(">u2" if big_endian else "<u2")
    image = to_bgr(
        data.tobytes(), width=width, height=height, step=data.strides[0], encoding=encoding,
        big_endian=big_endian,
    )  # fmt: skip
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            own = letters[2 * (y % 2) + x % 2]
            for channel, letter in enumerate("bgr"):
                if letter == own:
                    assert image[y, x, channel] == mosaic[y, x]
                    continue
                having = [
                    int(mosaic[y + dy, x + dx])
                    for dy in (-1, 0, 1)
                    for dx in (-1, 0, 1)
                    if letters[2 * ((y + dy) % 2) + (x + dx) % 2] == letter
                    and (own != "g" or 0 in (dx, dy))
                    and (letter != "g" or 0 in (dx, dy))
                ]
                assert abs(int(image[y, x, channel]) - np.mean(having)) <= 1.0


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_red_mosaic_is_red_to_its_edges(pattern: str) -> None:
    row = [[255 * (letter == "r") for letter in pattern[i : i + 2]] for i in (0, 2)]
    mosaic = np.tile(np.array(row, np.uint8), (4, 4))
    image = to_bgr(mosaic.tobytes(), width=8, height=8, step=8, encoding=f"bayer_{pattern}8")
    np.testing.assert_array_equal(image[2:-2, 2:-2, :2], 0)
    assert image[..., 2].min() > 60


def test_no_byte_of_a_bgr_image_is_copied() -> None:
    data = np.arange(5 * 20, dtype=np.uint8)
    for encoding in ("bgr8", "8UC3"):
        image = to_bgr(data, width=6, height=5, step=20, encoding=encoding)
        assert np.shares_memory(image, data)


counts = st.one_of(st.integers(0, 12), st.sampled_from([2**16, 2**31 - 1, 2**31, 2**32 - 1]))


@given(
    st.binary(max_size=400), counts, counts, counts,
    st.one_of(st.sampled_from(ENCODINGS), st.text("abcgmnruvyFU01248_", max_size=8)), st.booleans(),
)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_any_header_and_bytes_are_an_image_or_refused(
    data: bytes, width: int, height: int, step: int, encoding: str, big_endian: bool
) -> None:
    try:
        image = to_bgr(
            data, width=width, height=height, step=step, encoding=encoding, big_endian=big_endian
        )
    except ValueError:
        return
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8


@given(st.sampled_from(ENCODINGS), st.integers(3, 8), st.integers(3, 8), st.integers(-9, 9), seeds)
@settings(max_examples=200, deadline=None)
def test_bytes_too_few_or_too_many_are_refused(
    encoding: str, half_width: int, half_height: int, surplus: int, seed: int
) -> None:
    width, height = 2 * half_width, 2 * half_height
    factor = {"nv12": 1.5, "nv21": 1.5, "nv24": 3.0}.get(encoding)
    values = PACKED[encoding][3] if encoding in PACKED else 2 if encoding in PAIRED else 1
    step = width * values * (2 if encoding.endswith("16") else 1)
    size = round(step * height * (factor or 1.0)) + surplus
    data = np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()
    if surplus == 0:
        image = to_bgr(data, width=width, height=height, step=step, encoding=encoding)
        assert image.shape == (height, width, 3)
    else:
        with pytest.raises(ValueError, match=f"{size} bytes does not hold"):
            to_bgr(data, width=width, height=height, step=step, encoding=encoding)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "64FC4", "h264", "", "BGR8", "yuv444"])
def test_what_is_no_picture_is_refused_and_the_known_are_named(encoding: str) -> None:
    with pytest.raises(ValueError, match="bayer_rggb8") as raised:
        to_bgr(bytes(64), width=4, height=4, step=16, encoding=encoding)
    assert repr(encoding) in str(raised.value)


def test_an_image_larger_than_any_camera_sends_is_refused_before_its_bytes_are_looked_at() -> None:
    side = 2**16
    assert side * side > MAX_PIXELS
    with pytest.raises(ValueError, match="33 megapixels"):
        to_bgr(b"", width=side, height=side, step=3 * side, encoding="bgr8")
    with pytest.raises(ValueError, match="megapixels"):
        to_bgr(b"", width=sys.maxsize, height=sys.maxsize, step=0, encoding="nv12")


@pytest.mark.parametrize(
    ("encoding", "width", "height", "why"),
    [("yuv422", 3, 2, "pairs"), ("nv12", 3, 2, "pairs"), ("bayer_rggb8", 2, 2, "too small")],
)
def test_a_size_that_the_encoding_cannot_have(
    encoding: str, width: int, height: int, why: str
) -> None:
    rows = height * 3 // 2 if encoding == "nv12" else height
    with pytest.raises(ValueError, match=why):
        to_bgr(bytes(8 * rows), width=width, height=height, step=8, encoding=encoding)
