"""JPEG and PNG files, whole, damaged and hostile."""

from __future__ import annotations

import resource
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.perception import images
from edge_robot.perception.images import decode_bgr, decode_image, read_image

PHOTO = (Path(__file__).parent / "warehouse.jpg").read_bytes()


def picture(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(width * height)
    return cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (width, height))


def encoded(pixels: np.ndarray, suffix: str, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


SMALL = picture(40, 30)
PNG = encoded(SMALL, ".png")
JPEG = encoded(SMALL, ".jpg")
PROGRESSIVE = encoded(SMALL, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTING = encoded(SMALL, ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
GREY = encoded(SMALL[..., 0], ".jpg")


def test_what_is_whole_is_read() -> None:
    np.testing.assert_array_equal(decode_bgr(PNG), SMALL)
    for content in (JPEG, PROGRESSIVE, RESTARTING):
        assert np.abs(decode_bgr(content).astype(int) - SMALL).mean() < 8.0
    assert decode_bgr(GREY).shape == SMALL.shape
    assert decode_bgr(JPEG + bytes(1000)).shape == SMALL.shape  # cameras pad their buffers
    wide = encoded(SMALL.astype(np.uint16) * 257, ".png")
    np.testing.assert_array_equal(decode_bgr(wide), SMALL)


@pytest.mark.parametrize("content", [PNG, JPEG, PROGRESSIVE, RESTARTING])
def test_what_is_cut_short_is_refused_wherever_it_was_cut(content: bytes) -> None:
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(ValueError, match="damaged"):
            decode_bgr(content[:length])


@given(st.integers(0, len(PNG) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_wrong_byte_in_a_png_is_seen(place: int, flipped: int) -> None:
    damaged = bytearray(PNG)
    damaged[place] ^= flipped
    with pytest.raises(ValueError, match="damaged"):
        decode_bgr(bytes(damaged))


@given(st.sampled_from([JPEG, PROGRESSIVE, RESTARTING]), st.data())
@settings(max_examples=200, deadline=None)
def test_wrong_bytes_in_a_jpeg_are_an_image_or_refused(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_bgr(bytes(damaged))
    except ValueError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[0] * image.shape[1] <= images.MAX_PIXELS


@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]), st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_image_or_refused(start: bytes, rest: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|megapixels|scans"):
        decode_bgr(start + rest)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of sound checksums whose few bytes of data are for another size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def jpeg_that_claims(width: int, height: int) -> bytes:
    place = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:place] + struct.pack(">HH", height, width) + JPEG[place + 4 :]


@pytest.mark.parametrize(
    "bomb", [png_that_claims(60_000, 60_000), jpeg_that_claims(65_500, 65_500)]
)
def test_a_bomb_is_refused_by_its_header_without_memory(bomb: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="megapixels"):
        decode_bgr(bomb)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, f"{grown} KiB"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    start = PROGRESSIVE.index(b"\xff\xda")
    with pytest.raises(ValueError, match="scans"):
        decode_bgr(PROGRESSIVE[:start] + PROGRESSIVE[start:-2] * 40 + b"\xff\xd9")


def test_other_formats_are_refused_though_opencv_would_read_them() -> None:
    bitmap = encoded(SMALL, ".bmp")
    assert cv2.imdecode(np.frombuffer(bitmap, np.uint8), cv2.IMREAD_COLOR) is not None
    with pytest.raises(UserError, match=r"image photo\.bmp is no JPEG or PNG"):
        decode_image(bitmap, "photo.bmp")


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    assert read_image(path).ndim == 3
    monkeypatch.setattr(images, "MAX_FILE_BYTES", len(PHOTO) - 1)
    with pytest.raises(UserError, match=r"photo\.jpg is larger than"):
        read_image(path)
