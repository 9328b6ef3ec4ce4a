"""Maps in files as `nav2_map_server` reads and writes them: a YAML file beside an image (PGM).

https://docs.nav2.org/configuration/packages/map_server/configuring-map-server.html and
nav2_map_server's map_io.cpp say what thresholds and modes mean.
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.planning.static_map import MAX_CELLS, MAX_SIDE, StaticMap

MODES = ("trinary", "scale", "raw")
_MAX_YAML = 64 * 1024  # bytes
_MAX_PLAIN = 4_000_000  # pixels written as text: their words are held one by one
_HEADER = re.compile(rb"P([25])" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 3 + rb"\s")


def read_map(file: Path) -> StaticMap:
    """Read a map.

    Args:
        file: The YAML file; the image that it names lies in its folder or below.

    Raises:
        UserError: a file is missing, broken or too large, or a value is out of bounds.
    """
    entries = _entries(file)
    resolution = _number(file, entries, "resolution")
    occupied = _number(file, entries, "occupied_thresh")
    free = _number(file, entries, "free_thresh")
    if not 0 <= free < occupied <= 1:
        raise UserError(
            f"{file}: free_thresh is {free:g} and occupied_thresh {occupied:g}; "
            "give 0 <= free_thresh < occupied_thresh <= 1"
        )
    mode = entries.get("mode", "trinary")
    if mode not in MODES:
        raise UserError(f"{file}: mode is {str(mode)[:40]!r}; it may be {', '.join(MODES)}")
    negate = str(entries.get("negate", "0")).lower()
    if negate not in ("0", "1", "false", "true"):
        raise UserError(f"{file}: negate is {negate[:40]!r}; it may be 0 or 1")
    origin = entries.get("origin")
    if not isinstance(origin, list) or len(origin) != 3:
        raise UserError(f"{file}: origin must be [x, y, yaw] in m and rad")
    x, y, yaw = (_value(file, "origin", item) for item in origin)
    pixels, white = _read_pgm(_image(file, entries))
    shades = np.arange(white + 1) / white
    values = _occupancy(shades, str(mode), negate in ("1", "true"), occupied, free)[pixels]
    try:
        # The first row of an image is its top, that of a map lies at the origin.
        return StaticMap(np.ascontiguousarray(values[::-1]), resolution, (x, y, yaw))
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _entries(file: Path) -> dict[str, object]:
    content = _bytes(file, _MAX_YAML)
    try:
        # Every value as text: none of YAML's own types (dates, sexagesimal numbers) is meant.
        entries = yaml.load(content, yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: not a map's YAML file: {reason}") from error
    if not isinstance(entries, dict):
        raise UserError(f"{file}: not a map's YAML file: no entries image, resolution, …")
    return entries


def _bytes(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {file}: {reason}") from error
    if len(content) > most:
        raise UserError(f"{file} is larger than the {most} bytes it may have")
    return content


def _number(file: Path, entries: dict[str, object], name: str) -> float:
    if name not in entries:
        raise UserError(f"{file}: no entry {name}")
    return _value(file, name, entries[name])


def _value(file: Path, name: str, text: object) -> float:
    try:
        value = float(text) if isinstance(text, str) else np.nan
    except ValueError:
        value = np.nan
    if not isfinite(value):
        raise UserError(f"{file}: {name} is {str(text)[:40]!r}, not a number")
    return value


def _image(file: Path, entries: dict[str, object]) -> Path:
    """Return the image's path, refusing one that leads out of the folder of the YAML file."""
    name = entries.get("image")
    if not isinstance(name, str) or not name:
        raise UserError(f"{file}: no entry image")
    try:
        folder = file.resolve().parent
        image = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{file}: image is {name[:80]!r}, not a path") from error
    if not image.is_relative_to(folder):
        raise UserError(
            f"{file}: image {name[:80]!r} lies outside the folder of the map; "
            "move it there, or name the image yourself"
        )
    return image


def _read_pgm(image: Path) -> tuple[NDArray[np.integer], int]:
    """Return the levels of an image's pixels, (rows, columns), and that of white."""
    content = _bytes(image, 2 * MAX_CELLS + 4096)  # samples of 16 bit, and a header with comments
    header = _HEADER.match(content)
    if header is None:
        raise UserError(f"{image} is not a PGM image (P5 or P2); convert it to one")
    kind, columns, rows, top = (int(group) for group in header.groups())
    if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE and rows * columns <= MAX_CELLS):
        raise UserError(f"{image} has {columns} x {rows} pixels; at most {MAX_CELLS} can be used")
    if not 1 <= top <= 65535:
        raise UserError(f"{image}: a white of {top}; from 1 to 65535 is possible")
    count = rows * columns
    if kind == 2 and count > _MAX_PLAIN:
        raise UserError(f"{image}: {count} pixels as text (P2); convert it to binary PGM (P5)")
    body = content[header.end() :]
    pixels: NDArray[np.integer]
    if kind == 5:
        depth = np.dtype(np.uint8 if top < 256 else ">u2")
        if len(body) < count * depth.itemsize:
            raise UserError(f"{image} ends early: {len(body)} bytes of {count * depth.itemsize}")
        pixels = np.frombuffer(body, depth, count)
    else:
        try:
            pixels = np.array(body.split(None, count)[:count], np.int64)
        except (ValueError, OverflowError) as error:
            raise UserError(f"{image}: a pixel that is no number") from error
        if len(pixels) < count:
            raise UserError(f"{image} ends early: {len(pixels)} pixels of {count}")
    if pixels.min() < 0 or pixels.max() > top:
        raise UserError(f"{image}: a pixel brighter than its white, {top}, or below 0")
    return pixels.reshape(rows, columns), top


def _occupancy(
    shade: NDArray[np.float64], mode: str, negate: bool, occupied: float, free: float
) -> NDArray[np.int8]:
    """Return what shades mean, in % or -1, as map_io.cpp has it."""
    if mode == "raw":
        level = np.rint(shade * 255)
        return np.where(level <= 100, level, -1).astype(np.int8)
    share = shade if negate else 1 - shade
    if mode == "trinary":
        between = np.full_like(share, -1)
    else:
        between = np.rint((share - free) / (occupied - free) * 100)
    values = np.where(share > occupied, 100, np.where(share < free, 0, between))
    return values.astype(np.int8)
