"""Every layout against a slow, obvious version, and against numbers that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.perception.decoders import LAYOUTS, decode
from edge_robot.perception.decoders.boxes import suppress
from edge_robot.perception.model_card import ModelCard

CLASSES = ("cat", "dog", "bird")
WIDTH, HEIGHT = 96, 64
CHOSEN = {"box_order": "yxyx", "outputs": ("boxes", "scores", "classes", "count")}
RAW = ("boxes", "scores")

Row = tuple[float, int, tuple[float, float, float, float]]


def card(layout: str, **more: object) -> ModelCard:
    return ModelCard(layout, CLASSES, WIDTH, HEIGHT, **more)


CARDS = [
    card("yolox"),
    card("fastestdet"),
    card("yolov5"),
    card("yolov8"),
    card("yolov10"),
    card("nanodet_plus"),
    card("rt_detr"),
    card("rt_detr", outputs=("predictions",)),
    card("rt_detr", outputs=("objects",)),
    card("ssd"),
    card("ssd", first_class=0, box_order="cxcywh", box_unit="pixel"),
    card("ssd", **CHOSEN),
]


def outputs_of(model: ModelCard, rng: np.random.Generator) -> list[np.ndarray]:
    """Return random outputs of a model, scores in 0..1 and boxes about as large as the image."""
    shapes = LAYOUTS[model.layout].shapes(model)
    sizes = {role: [12 if n is None else n for n in shapes[role][0]] for role in model.roles}
    arrays = {role: rng.uniform(0.0, 1.0, size) for role, size in sizes.items()}
    pixels = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    if model.layout in ("yolov5", "yolov10"):
        arrays["predictions"][..., :4] *= pixels
    for role in {"objects"} if model.layout == "rt_detr" else {"predictions"}:
        if role in arrays and arrays[role].shape == (1, 12, 6):
            arrays[role][..., 5] = rng.integers(-1, 4, 12)
    if model.layout == "yolov8":
        arrays["predictions"][:, :4] *= pixels[:, None]
    if model.layout == "nanodet_plus":
        arrays["predictions"][..., 3:] = rng.standard_normal((1, sizes["predictions"][1], 32)) * 3
    if model.layout == "rt_detr" and "logits" in arrays:
        arrays["logits"] = rng.standard_normal(sizes["logits"]) * 3
    if model.box_unit == "pixel":
        arrays["boxes"] *= pixels
    corners = arrays["predictions"] if model.layout == "yolov10" else arrays.get("boxes")
    if corners is not None and model.layout != "rt_detr" and model.box_order != "cxcywh":
        corners[..., 2:4] += corners[..., :2]
    if "classes" in arrays:
        arrays["classes"] = rng.integers(0, 5, sizes["classes"])
        arrays["count"] = rng.integers(0, 14, sizes["count"])
    return [arrays[role].astype(np.float32) for role in model.roles]


def centred(cx: float, cy: float, w: float, h: float) -> tuple[float, float, float, float]:
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def best(scores: np.ndarray) -> tuple[float, int]:
    index = max(range(len(scores)), key=lambda i: scores[i])
    return float(scores[index]), index


def cells(model: ModelCard) -> Iterator[tuple[int, int, int]]:
    for stride in model.strides:
        for row in range(math.ceil(HEIGHT / stride)):
            for column in range(math.ceil(WIDTH / stride)):
                yield column, row, stride


def obvious(model: ModelCard, outputs: list[np.ndarray]) -> Iterator[Row]:
    """Yield score, class and box of everything in the outputs, one by one."""
    tensors = dict(zip(model.roles, (o.astype(float) for o in outputs), strict=True))
    if model.layout == "yolox":
        for row, (column, line, stride) in zip(
            tensors["predictions"][0], cells(model), strict=True
        ):
            score, index = best(row[5:])
            x, y = (row[0] + column) * stride, (row[1] + line) * stride
            yield (
                row[4] * score,
                index,
                centred(x, y, math.exp(row[2]) * stride, math.exp(row[3]) * stride),
            )
    elif model.layout == "fastestdet":
        planes = tensors["predictions"][0]
        for line in range(planes.shape[1]):
            for column in range(planes.shape[2]):
                values = planes[:, line, column]
                score, index = best(values[5:])
                x = (math.tanh(values[1]) + column) / planes.shape[2] * WIDTH
                y = (math.tanh(values[2]) + line) / planes.shape[1] * HEIGHT
                w, h = (1 / (1 + math.exp(-v)) for v in values[3:5])
                yield values[0] ** 0.6 * score**0.4, index, centred(x, y, w * WIDTH, h * HEIGHT)
    elif model.layout == "yolov5":
        for row in tensors["predictions"][0]:
            score, index = best(row[5:])
            yield row[4] * score, index, centred(*row[:4])
    elif model.layout == "yolov8":
        for row in tensors["predictions"][0].T:
            score, index = best(row[4:])
            yield score, index, centred(*row[:4])
    elif model.layout == "yolov10":
        for row in tensors["predictions"][0]:
            if 0 <= row[5] <= 2:
                yield row[4], int(row[5]), tuple(row[:4])
    elif model.layout == "nanodet_plus":
        for row, (column, line, stride) in zip(
            tensors["predictions"][0], cells(model), strict=True
        ):
            score, index = best(row[:3])
            sides = []
            for side in row[3:].reshape(4, 8):
                weights = [math.exp(v) for v in side]
                sides.append(stride * sum(k * w for k, w in enumerate(weights)) / sum(weights))
            x, y = column * stride, line * stride
            limits = (WIDTH, HEIGHT, WIDTH, HEIGHT)
            box = (x - sides[0], y - sides[1], x + sides[2], y + sides[3])
            yield score, index, tuple(min(max(v, 0.0), m) for v, m in zip(box, limits, strict=True))
    elif model.layout == "rt_detr" and "logits" in tensors:
        rows = []
        for logits, box in zip(tensors["logits"][0], tensors["boxes"][0], strict=True):
            for index, logit in enumerate(logits):
                x, y, w, h = box * [WIDTH, HEIGHT, WIDTH, HEIGHT]
                rows.append((1 / (1 + math.exp(-logit)), index, centred(x, y, w, h)))
        yield from sorted(rows, reverse=True)[:12]
    elif "objects" in tensors:
        for row in tensors["objects"][0]:
            if 0 <= row[5] <= 2:
                x, y, w, h = row[:4] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
                yield row[4], int(row[5]), centred(x, y, w, h)
    elif model.layout == "rt_detr":
        for row in tensors["predictions"][0]:
            score, index = best(row[4:])
            x, y, w, h = row[:4] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
            yield score, index, centred(x, y, w, h)
    elif "classes" in tensors:
        for number in range(min(12, int(tensors["count"].item()))):
            index = int(tensors["classes"][0, number]) - 1
            if 0 <= index <= 2:
                top, left, bottom, right = tensors["boxes"][0, number]
                box = left * WIDTH, top * HEIGHT, right * WIDTH, bottom * HEIGHT
                yield tensors["scores"][0, number], index, box
    else:
        for box, scores in zip(tensors["boxes"][0], tensors["scores"][0], strict=True):
            score, index = best(scores[model.first_class :])
            if model.box_order == "cxcywh":
                yield score, index, centred(*box)
            else:
                yield score, index, tuple(box * [WIDTH, HEIGHT, WIDTH, HEIGHT])


@pytest.mark.parametrize("model", CARDS, ids=lambda model: "-".join((model.layout, *model.outputs)))
@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), min_score=st.floats(0.0, 0.9))
def test_a_layout_agrees_with_the_obvious_version(
    model: ModelCard, seed: int, min_score: float
) -> None:
    outputs = outputs_of(model, np.random.default_rng(seed))
    found = decode(outputs, model, min_score)
    wanted = sorted(
        (row for row in obvious(model, outputs) if row[0] >= min_score), key=lambda row: -row[0]
    )
    assert abs(len(found.scores) - len(wanted)) <= sum(
        abs(row[0] - min_score) < 1e-5 for row in obvious(model, outputs)
    )
    count = min(len(found.scores), len(wanted))
    np.testing.assert_allclose(
        found.scores[:count], [row[0] for row in wanted[:count]], rtol=1e-4, atol=1e-5
    )
    # Scores that are equal but for rounding may have changed places: compare as sets.
    mine, other = (
        np.column_stack([boxes, 1e3 * np.asarray(ids), 1e3 * np.asarray(scores)]).reshape(-1, 6)
        for boxes, ids, scores in (
            (found.boxes[:count].reshape(-1, 4), found.class_ids[:count], found.scores[:count]),
            (
                np.array([row[2] for row in wanted[:count]]).reshape(-1, 4),
                [row[1] for row in wanted[:count]],
                [row[0] for row in wanted[:count]],
            ),
        )
    )
    apart = np.abs(mine[:, None] - other[None]).max(axis=2)
    assert np.all(apart.min(axis=0, initial=0.0 if not count else np.inf) < 0.1)
    assert np.all(apart.min(axis=1, initial=0.0 if not count else np.inf) < 0.1)


@pytest.mark.parametrize("model", CARDS, ids=lambda model: "-".join((model.layout, *model.outputs)))
@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    special=st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 0.0, -1.0]),
    share=st.floats(0.0, 1.0),
)
def test_numbers_that_are_none_give_no_candidate(
    model: ModelCard, seed: int, special: float, share: float
) -> None:
    rng = np.random.default_rng(seed)
    outputs = outputs_of(model, rng)
    for output in outputs:
        output[rng.uniform(size=output.shape) < share] = special
    found = decode(outputs, model, 0.0)
    assert np.all(np.isfinite(found.boxes))
    assert np.all((found.scores >= 0.0) & (found.scores <= 1.001))
    assert np.all(np.diff(found.scores) <= 0.0)
    assert np.all((found.class_ids >= 0) & (found.class_ids < len(CLASSES)))
    assert len(found.boxes) == len(found.scores) == len(found.class_ids)
    suppress(found, 0.5)


@pytest.mark.parametrize("model", CARDS, ids=lambda model: "-".join((model.layout, *model.outputs)))
def test_outputs_of_another_shape_are_refused(model: ModelCard) -> None:
    outputs = outputs_of(model, np.random.default_rng(0))
    for index, output in enumerate(outputs):
        with pytest.raises(UserError, match=model.roles[index]):
            decode([*outputs[:index], output[None, None], *outputs[index + 1 :]], model, 0.5)


def test_what_the_network_has_chosen_is_not_suppressed() -> None:
    rows = np.array([[[0, 0, 9, 9, 0.9, 1], [0, 0, 9, 9, 0.8, 1]]], np.float32)
    assert len(suppress(decode([rows], card("yolov10"), 0.5), 0.5)) == 2
    rows = np.zeros((1, 4 + 3, 12 * 8 + 6 * 4 + 3 * 2), np.float32)
    rows[0, :5, :2] = [[5, 5], [5, 5], [9, 9], [9, 9], [0.9, 0.8]]
    assert len(suppress(decode([rows], card("yolov8"), 0.5), 0.5)) == 1
