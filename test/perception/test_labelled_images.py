"""Folders of images with YOLO labels: what is read, what is refused, how they are split."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.perception.labelled_images import read_labelled_images, split

CLASSES = ("person", "box")


def make(folder: Path, count: int) -> tuple[Path, Path]:
    """Write images of 40 × 20 px, each with a box in its middle."""
    images, labels = folder / "images", folder / "labels"
    images.mkdir()
    labels.mkdir()
    (folder / "names.txt").write_text("Box\nzebra\n")
    for index in range(count):
        cv2.imwrite(str(images / f"{index:02}.png"), np.full((20, 40, 3), index, np.uint8))
        (labels / f"{index:02}.txt").write_text("0 0.5 0.5 0.5 0.2\n1 0.1 0.1 0.1 0.1\n")
    return images, labels


def test_labels_come_in_pixels_and_in_the_classes_of_the_model(tmp_path: Path) -> None:
    images, labels = make(tmp_path, 2)
    (labels / "01.txt").unlink()
    first, second = read_labelled_images(images, labels, CLASSES)
    assert first.labels.boxes.tolist() == [[10.0, 8.0, 30.0, 12.0]]
    assert first.labels.class_ids.tolist() == [1]  # the zebra is nothing the model knows
    assert first.read().shape == (20, 40, 3)
    assert len(second.labels.boxes) == 0


def test_a_content_counts_once_whatever_its_name(tmp_path: Path) -> None:
    images, labels = make(tmp_path, 3)
    shutil.copy(images / "01.png", images / "99.png")
    assert [item.path.stem for item in read_labelled_images(images, labels, CLASSES)] == [
        "00",
        "01",
        "02",
    ]


def test_a_file_that_changes_after_its_labels_were_read_is_refused(tmp_path: Path) -> None:
    images, labels = make(tmp_path, 1)
    (only,) = read_labelled_images(images, labels, CLASSES)
    cv2.imwrite(str(only.path), np.full((20, 40, 3), 77, np.uint8))
    with pytest.raises(UserError, match="changed meanwhile"):
        only.read()


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(0, 3), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_parts_are_disjoint_and_repeat_with_the_seed(
    tmp_path_factory: pytest.TempPathFactory, seed: int, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("split")
    images = read_labelled_images(*make(folder, 12), CLASSES)
    parts = split(images, sizes, seed)
    assert [len(part) for part in parts] == sizes
    hashes = [item.sha256 for part in parts for item in part]
    assert len(set(hashes)) == len(hashes)
    assert [[item.sha256 for item in part] for part in split(images[::-1], sizes, seed)] == [
        [item.sha256 for item in part] for part in parts
    ]


def test_other_seeds_draw_other_parts(tmp_path: Path) -> None:
    images = read_labelled_images(*make(tmp_path, 12), CLASSES)
    drawn = {tuple(item.path.stem for item in split(images, [6], seed)[0]) for seed in range(5)}
    assert len(drawn) > 1


def test_too_few_images_are_an_error(tmp_path: Path) -> None:
    images = read_labelled_images(*make(tmp_path, 3), CLASSES)
    with pytest.raises(UserError, match="3 different images are too few: 2 \\+ 2"):
        split(images, [2, 2], 0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("labels/00.txt", b"0 0.5 0.5 0.5\n", "line 1"),
        ("labels/00.txt", b"0 0.5 0.5 0.5 0.1\n0 0.5 0.5 nan 0.1\n", "line 2"),
        ("labels/00.txt", b"0 0.5 0.5 1.5 0.1\n", "line 1"),
        ("labels/00.txt", b"7 0.5 0.5 0.5 0.1\n", "no class 7"),
        ("labels/00.txt", b"\xff\xfe\x00", "UTF-8"),
        ("labels/00.txt", b"0 0.5 0.5 0.5 0.1\n" * 2001, "over 2000 objects"),
        ("images/00.png", b"no image", "damaged"),
        ("names.txt", b"\n", "empty"),
        ("names.txt", b"lion\ntiger\n", "none of the label classes"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    images, labels = make(tmp_path, 1)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_labelled_images(images, labels, CLASSES)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("images", "no folder"),
        ("labels", "no folder"),
        ("names.txt", "no names.txt"),
        ("images/00.png", "no JPEG or PNG"),
        ("labels/00.txt", "no label file"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, gone: str, message: str) -> None:
    images, labels = make(tmp_path, 1)
    path = tmp_path / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=message):
        read_labelled_images(images, labels, CLASSES)
