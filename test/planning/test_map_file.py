from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.planning.map_file import read_map

YAML = """image: room.pgm
mode: trinary
resolution: 0.05
origin: [-1.5, 2.0, 0.3]
negate: 0
occupied_thresh: 0.65
free_thresh: 0.196
"""
PGM = b"P5\n# CREATOR: map_saver 0.050 m/pix\n3 2\n255\n" + bytes([0, 205, 254, 254, 0, 100])


def put(folder: Path, text: str | bytes = YAML, image: bytes = PGM) -> Path:
    file = folder / "room.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    (folder / "room.pgm").write_bytes(image)
    return file


def test_a_map_is_read_as_the_map_server_reads_it(tmp_path) -> None:
    found = read_map(put(tmp_path))
    assert found.resolution == 0.05
    assert found.origin == (-1.5, 2.0, 0.3)
    # Bottom row of the image first; 100 is 61 % dark: neither free nor occupied.
    np.testing.assert_array_equal(found.occupancy, [[0, 100, -1], [100, -1, 0]])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("negate: 0", "negate: 1"), [[100, 0, -1], [0, 100, 100]]),
        (("mode: trinary", "mode: scale"), [[0, 100, 91], [100, 0, 0]]),
        (("mode: trinary", "mode: raw"), [[-1, 0, 100], [0, -1, -1]]),
        (("mode: trinary\n", ""), [[0, 100, -1], [100, -1, 0]]),
    ],
)
def test_modes_and_negation(tmp_path, change, expected) -> None:
    found = read_map(put(tmp_path, YAML.replace(*change)))
    np.testing.assert_array_equal(found.occupancy, expected)


def test_other_kinds_of_pgm(tmp_path) -> None:
    plain = b"P2 3 2 # white\n 255\n0 205 254\n254 0 100\n"
    deep = b"P5 3 2 65535\n" + (np.array([0, 205, 254, 254, 0, 100]) * 257).astype(">u2").tobytes()
    expected = read_map(put(tmp_path)).occupancy
    for image in (plain, deep):
        np.testing.assert_array_equal(read_map(put(tmp_path, image=image)).occupancy, expected)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("0.05", "0.0", "cells of 0 m"),
        ("0.05", "1e-9", "cells of 1e-09 m"),
        ("0.05", "500", "cells of 500 m"),
        ("0.05", ".nan", "resolution is '.nan'"),
        ("resolution: 0.05\n", "", "no entry resolution"),
        ("-1.5", "nan", "origin is 'nan'"),
        ("-1.5", "1e30", "origin at"),
        ("[-1.5, 2.0, 0.3]", "[1, 2]", r"\[x, y, yaw\]"),
        ("0.65", "0.1", "free_thresh is 0.196"),
        ("trinary", "best", "mode is 'best'"),
        ("negate: 0", "negate: maybe", "negate is 'maybe'"),
        ("room.pgm", "../room.pgm", "outside the folder"),
        ("room.pgm", "/etc/hostname", "outside the folder"),
        ("room.pgm", "none.pgm", "cannot read"),
        ("room.pgm", '"a\\0b"', "not a path"),
        ("room.pgm", "room.yaml", "not a PGM"),
        ("image: room.pgm\n", "", "no entry image"),
        (YAML, "", "no entries"),
        (YAML, "[" * 800, "not a map's YAML"),
        (YAML, "a: " + "x" * 70000, "larger than"),
    ],
)
def test_a_bad_map_is_refused_with_the_reason(tmp_path, old, new, reason) -> None:
    with pytest.raises(UserError, match=reason):
        read_map(put(tmp_path, YAML.replace(old, new)))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (PGM[:-1], "ends early"),
        (b"P5 90000 90000 255\n", "at most"),
        (b"P5 3 2 0\n123456", "a white of 0"),
        (b"P5 3 2 9\n" + bytes([0, 1, 2, 3, 4, 10]), "brighter"),
        (b"P2 3 2 9\n0 1 2 3 x 5", "no number"),
        (b"P2 3 2 9\n0 1 2", "ends early"),
        (b"\x89PNG\r\n", "not a PGM"),
    ],
)
def test_a_bad_image_is_refused_with_the_reason(tmp_path, image, reason) -> None:
    with pytest.raises(UserError, match=reason):
        read_map(put(tmp_path, image=image))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_files_hold_only_a_user_error_comes(data) -> None:
    files = []
    for content in (YAML.encode(), PGM):
        changed = bytearray(content)
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(changed) - 1))
            changed[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
            changed = changed or bytearray(b"0")
        files.append(bytes(changed))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read_map(put(Path(folder), *files))
        except UserError:
            return
    assert -1 <= found.occupancy.min() <= found.occupancy.max() <= 100
