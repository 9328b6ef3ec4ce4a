"""Which layout a model without a card has, read off its graph.

Public detectors give themselves away by the sizes of their outputs: a row per cell of the grids, or
three, or three hundred, and a column per class. Preprocessing is the one that a layout's authors
define. Where a graph leaves a doubt, this says so and asks for a card: a guess would find things
that are not there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_robot.errors import UserError
from edge_robot.perception.coco import COCO_CLASSES
from edge_robot.perception.decoders import LAYOUTS
from edge_robot.perception.decoders.grid import grid
from edge_robot.perception.decoders.nanodet_plus import REG_MAX
from edge_robot.perception.decoders.yolov5 import ANCHORS
from edge_robot.perception.graph import Graph, Tensor
from edge_robot.perception.model_card import MAX_CLASSES, ModelCard

MAX_NAMES = 2**18
"""Characters of a graph's class names."""

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
"""Grids that public detectors have."""

_UNIT = (255.0, 255.0, 255.0)
_ULTRALYTICS: dict[str, Any] = {"channels": "rgb", "std": _UNIT, "nms_iou": 0.45}
_PREPROCESSING: dict[str, dict[str, Any]] = {
    "yolox": {"nms_iou": 0.45},
    "fastestdet": {"resize": "stretch", "std": _UNIT, "nms_iou": 0.45},
    "yolov5": _ULTRALYTICS,
    "yolov8": _ULTRALYTICS,
    "yolov10": _ULTRALYTICS,
    "nanodet_plus": {
        "resize": "stretch",
        "mean": (103.53, 116.28, 123.675),
        "std": (57.375, 57.12, 58.395),
        "nms_iou": 0.6,
    },
    "rt_detr": {"channels": "rgb", "resize": "stretch", "std": _UNIT},
}

_NAME = re.compile(
    r"""\s*(?:(?P<quote>['"]?)(?P<index>\d{1,5})(?P=quote)\s*:)?\s*"""
    r"""(?P<name>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*(?:,|$)"""
)


@dataclass(frozen=True)
class _Guess:
    """A layout that a graph may have.

    Attributes:
        layout: Its name.
        classes: How many classes that makes; None where the sizes do not say.
        more: Of the card: strides, roles of the outputs.
    """

    layout: str
    classes: int | None
    more: Mapping[str, Any]


def recognise(graph: Graph, name: str) -> ModelCard:
    """Return the card of a model in a public layout, by its graph alone.

    Class names are those the exporter noted; those of COCO where there are none noted, and 80.

    Args:
        graph: The model's.
        name: What the error calls the model.

    Raises:
        UserError: the layout is none of those known, or one of several; says what a card must say.
    """
    task = graph.metadata.get("task", "detect")
    if task != "detect":
        raise UserError(f"model {name} is made to {task[:40]!r}; take one that detects")
    size = _input_size(graph)
    guesses = list(_guesses(graph, *size)) if size is not None else []
    if size is None or not guesses:
        raise UserError(
            f"model {name} has {graph}: no known layout of fixed size; describe it in a card, or "
            "export it with an input 1×3×height×width and without post-processing"
        )
    names = _noted_names(graph.metadata)
    known = [(guess, _class_names(guess, names)) for guess in guesses]
    certain = [(guess, classes) for guess, classes in known if classes]
    if len(certain) != 1 or certain[0][0].layout == "ssd":
        said = ", ".join(
            guess.layout + ("" if guess.classes is None else f" of {guess.classes} classes")
            for guess in guesses
        )
        noted = f"notes {len(names)} class names" if names else "notes no class names"
        raise UserError(
            f"model {name} has {graph} and {noted}: that may be {said}; say in a card which it is, "
            "and what the graph does not say (`edge-robot model add --help`)"
        )
    guess, classes = certain[0]
    width, height = size
    return ModelCard(
        guess.layout,
        classes,
        width,
        height,
        score_threshold=0.3,
        **_PREPROCESSING[guess.layout],
        **guess.more,
    )


def _input_size(graph: Graph) -> tuple[int, int] | None:
    """Return width and height of the one image a graph takes."""
    if len(graph.inputs) != 1 or graph.inputs[0].shape is None or len(graph.inputs[0].shape) != 4:
        return None
    batch, channels, height, width = graph.inputs[0].shape
    if (batch not in (1, None) and isinstance(batch, int)) or channels != 3:
        return None
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    return (width, height) if max(width, height) <= 8192 else None


def _guesses(graph: Graph, width: int, height: int) -> Iterator[_Guess]:
    """Yield every layout whose sizes fit."""
    shapes = [_sizes(tensor) for tensor in graph.outputs]
    if len(shapes) == 1:
        yield from _of_one_output(shapes[0], width, height, _is_detr(graph.metadata))
        return
    roles = [_role(tensor) for tensor in graph.outputs]
    by_role = dict(zip(roles, shapes, strict=True))
    if len(by_role) < len(roles) or "boxes" not in by_role:
        return
    if set(by_role) == {"boxes", "logits"}:
        classes = by_role["logits"][-1] if by_role["logits"] else None
        yield _Guess("rt_detr", classes, {"outputs": tuple(roles)})
    elif sorted(by_role) in [sorted(roles) for roles in LAYOUTS["ssd"].roles]:
        yield _Guess("ssd", None, {"outputs": tuple(roles)})


def _is_detr(metadata: Mapping[str, str]) -> bool | None:
    """Return whether the exporter says that a network is a DETR; None where it says nothing."""
    said = metadata.get("head", "") + metadata.get("description", "")
    return "detr" in said.lower() if said else None


def _of_one_output(
    shape: tuple[int | None, ...], width: int, height: int, is_detr: bool | None
) -> Iterator[_Guess]:
    if len(shape) == 4 and shape[1] is not None and shape[1] > 5:
        yield _Guess("fastestdet", shape[1] - 5, {})
    if len(shape) != 3:
        return
    _, rows, columns = shape
    if columns == 6 and is_detr is not True:
        yield _Guess("yolov10", None, {})
    if columns == 6 and is_detr is not False:
        yield _Guess("rt_detr", None, {"outputs": ("objects",)})
    for strides in STRIDES:
        cells = len(grid(width, height, strides))
        more = {"strides": strides}
        if rows == cells and columns is not None:
            if columns > 5:
                yield _Guess("yolox", columns - 5, more)
            distributions = 4 * (REG_MAX + 1)
            if columns > distributions and strides == LAYOUTS["nanodet_plus"].strides:
                yield _Guess("nanodet_plus", columns - distributions, more)
        if rows == ANCHORS * cells and columns is not None and columns > 5:
            yield _Guess("yolov5", columns - 5, more)
        if columns == cells and rows is not None and rows > 4:
            yield _Guess("yolov8", rows - 4, more)
    few = rows is not None and rows <= 1000
    if few and columns is not None and columns > 4 and columns != 6 and is_detr is not False:
        yield _Guess("rt_detr", columns - 4, {"outputs": ("predictions",)})


def _sizes(tensor: Tensor) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in tensor.shape or ())


def _role(tensor: Tensor) -> str:
    """Return what an output is by the name that exporters give it."""
    name = tensor.name.lower()
    for part, role in (
        ("logit", "logits"),
        ("box", "boxes"),
        ("score", "scores"),
        ("conf", "scores"),
        ("class", "classes"),
        ("label", "classes"),
        ("num", "count"),
    ):
        if part in name:
            return role
    return name


def _class_names(guess: _Guess, noted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of a guess's classes; none where they are not known or too few or many."""
    if noted and guess.classes in (None, len(noted)):
        return noted
    if not noted and guess.classes == len(COCO_CLASSES):
        return COCO_CLASSES
    return ()


def _noted_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class names that an exporter noted as `{0: 'a', 1: 'b'}` or `['a', 'b']`."""
    text = metadata.get("names", "").strip()
    if not 2 < len(text) <= MAX_NAMES or text[0] + text[-1] not in ("{}", "[]"):
        return ()
    names: list[str] = []
    position, end = 1, len(text) - 1
    while position < end and len(names) <= MAX_CLASSES:
        item = _NAME.match(text, position, end)
        if item is None or (item["index"] is not None and int(item["index"]) != len(names)):
            return ()
        try:
            names.append(str(ast.literal_eval(item["name"])))  # one string literal, nothing else
        except (SyntaxError, ValueError):
            return ()
        position = item.end()
    return tuple(names) if len(names) <= MAX_CLASSES else ()
