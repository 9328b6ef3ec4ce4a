"""Reads a folder of images with labels in YOLO's text format, and splits it.

`LABELS/NAME.txt` belongs to `IMAGES/NAME.jpg` (or .jpeg, .png). Each of its lines is one object:
`class cx cy w h`, the class a line number (from 0) of `names.txt`, the rest shares of the image's
width and height. An image whose label file is empty or absent shows no objects, as YOLO has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.evaluation import Labels
from edge_robot.perception.images import decode_image

SUFFIXES = (".jpg", ".jpeg", ".png")
NAMES_FILES = ("names.txt", "classes.txt")
"""What the list of class names may be called; it lies with the labels, or one folder up."""

MAX_IMAGES = 20_000
MAX_IMAGE_BYTES = 64 << 20
MAX_TEXT_BYTES = 1 << 20
MAX_OBJECTS = 2_000
"""Most objects in one image."""


@dataclass(frozen=True)
class LabelledImage:
    """One image file and what is in it.

    Attributes:
        path: The file.
        sha256: Hash of its content.
        labels: Its objects, boxes in pixels of the image, classes as the model numbers them.
    """

    path: Path
    sha256: str
    labels: Labels

    def read(self) -> NDArray[np.uint8]:
        """Return the image, (H, W, 3) uint8 BGR.

        Raises:
            UserError: the file has changed or gone since its labels were read.
        """
        content = _read(self.path, "image", MAX_IMAGE_BYTES)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise UserError(f"image {self.path} has changed meanwhile; start again")
        return decode_image(content, str(self.path))


def read_labelled_images(images: Path, labels: Path, classes: Sequence[str]) -> list[LabelledImage]:
    """Read all images of a folder with their labels, in the order of their names.

    Of several files with the same content only the first counts. Objects of a class that the model
    does not know are left out; names are compared whatever their case.

    Args:
        images: Folder of JPEG and PNG files.
        labels: Folder of label files; `names.txt` in it or one folder up.
        classes: Class names of the model, in its order.

    Raises:
        UserError: a folder or the names are missing, no image is labelled, no class is known to
            the model, or a file is broken; says which and what to do.
    """
    for folder, option in ((images, "--images"), (labels, "--labels")):
        if not folder.is_dir():
            raise UserError(f"no folder {folder}; give {option} an existing one")
    names = read_names(labels)
    lowered = [name.lower() for name in classes]
    ids = [lowered.index(name) if name in lowered else -1 for name in names]
    if max(ids) < 0:
        raise UserError(
            f"none of the label classes ({_few(names)}) is one of the model's ({_few(classes)}); "
            f"rename them in {NAMES_FILES[0]} or take a model for these classes"
        )
    paths = sorted(item for item in images.iterdir() if item.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"no JPEG or PNG file in {images}; give --images a folder of photographs")
    if len(paths) > MAX_IMAGES:
        raise UserError(f"{images} holds {len(paths)} images; at most {MAX_IMAGES} are read")
    if not any((labels / f"{path.stem}.txt").is_file() for path in paths):
        raise UserError(
            f"no label file in {labels} belongs to an image of {images} "
            f"(wanted: {paths[0].stem}.txt and so on)"
        )
    found: dict[str, LabelledImage] = {}
    for path in paths:
        content = _read(path, "image", MAX_IMAGE_BYTES)
        sha256 = hashlib.sha256(content).hexdigest()
        height, width = decode_image(content, str(path)).shape[:2]
        truth = _read_labels(labels / f"{path.stem}.txt", width, height, ids)
        found.setdefault(sha256, LabelledImage(path, sha256, truth))
    return list(found.values())


def read_names(labels: Path) -> list[str]:
    """Return the class names of a folder of labels, in lower case, by number.

    Raises:
        UserError: the list is missing, empty or no text.
    """
    places = [folder / name for folder in (labels, labels.parent) for name in NAMES_FILES]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise UserError(
            f"no {' or '.join(NAMES_FILES)} in {labels} or one folder up; "
            "write the class names there, one a line"
        )
    names = [line.strip().lower() for line in _read_text(path, "list of classes").splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise UserError(f"list of classes {path} is empty; write one class name a line")
    return names


def split(
    images: Sequence[LabelledImage], sizes: Sequence[int], seed: int
) -> list[list[LabelledImage]]:
    """Draw disjoint parts at random; the same seed draws the same parts from the same contents.

    Args:
        images: From `read_labelled_images`, which holds each content once.
        sizes: Number of images per part.
        seed: Seed of the draw.

    Raises:
        UserError: there are too few images.
    """
    if sum(sizes) > len(images):
        raise UserError(
            f"{len(images)} different images are too few: "
            f"{' + '.join(map(str, sizes))} are wanted; add images or ask for fewer"
        )
    pool = sorted(images, key=lambda item: item.sha256)  # names and places do not matter
    order = np.random.default_rng(seed).permutation(len(pool))
    ends = np.cumsum(sizes)
    return [
        sorted((pool[index] for index in order[end - size : end]), key=lambda item: item.path)
        for end, size in zip(ends, sizes, strict=True)
    ]


def _read(path: Path, kind: str, limit: int) -> bytes:
    try:
        if path.stat().st_size > limit:
            raise UserError(f"{kind} {path} is larger than {limit >> 20} MiB; leave it out")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{kind} {path} cannot be read: {error.strerror}") from error


def _read_text(path: Path, kind: str) -> str:
    try:
        return _read(path, kind, MAX_TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{kind} {path} is no UTF-8 text; write it anew") from error


def _read_labels(path: Path, width: int, height: int, ids: Sequence[int]) -> Labels:
    """Read one label file; `ids` says which class of the model each class of the file is, or -1."""
    boxes: list[tuple[float, ...]] = []
    class_ids: list[int] = []
    lines = _read_text(path, "label file").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            index, *box = line.split()
            class_id = int(index)
            centre_x, centre_y, box_width, box_height = map(float, box)
            sound = 0.0 <= centre_x <= 1.0 and 0.0 <= centre_y <= 1.0
            sound &= 0.0 < box_width <= 1.0 and 0.0 < box_height <= 1.0
        except ValueError:
            sound = False
        if not sound:
            raise UserError(
                f"label file {path}, line {number}: {line.strip()[:60]!r} is not "
                "`class cx cy w h` with shares of the image in 0..1; mend or remove it"
            )
        if not 0 <= class_id < len(ids):
            raise UserError(
                f"label file {path}, line {number}: there is no class {class_id}, "
                f"only {len(ids)} names; mend the line or the list of names"
            )
        if len(boxes) == MAX_OBJECTS:
            raise UserError(f"label file {path} has over {MAX_OBJECTS} objects; leave it out")
        if ids[class_id] < 0:
            continue
        x, y = 0.5 * box_width, 0.5 * box_height
        boxes.append((centre_x - x, centre_y - y, centre_x + x, centre_y + y))
        class_ids.append(ids[class_id])
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    corners = np.clip(corners, 0.0, 1.0) * np.array([width, height] * 2, np.float32)
    return Labels(corners, np.array(class_ids, np.int64), np.zeros(len(corners), np.bool_))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
