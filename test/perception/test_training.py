"""Training itself; skipped where PyTorch is not installed, as on a robot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is absent: training is not tested")

from edge_robot.perception.decoders.grid import grid  # noqa: E402
from edge_robot.perception.decoders.yolox import decode_yolox, encode_yolox  # noqa: E402
from edge_robot.perception.detector import Detector  # noqa: E402
from edge_robot.perception.model_card import ModelCard  # noqa: E402
from edge_robot.perception.training.dataset import Dataset  # noqa: E402
from edge_robot.perception.training.export import export_onnx, quantize  # noqa: E402
from edge_robot.perception.training.losses import Targets, decode, loss  # noqa: E402
from edge_robot.perception.training.network import STRIDES, Shape  # noqa: E402
from edge_robot.perception.training.network import Detector as Network  # noqa: E402
from edge_robot.perception.training.trainer import train  # noqa: E402

WIDTH, HEIGHT = 96, 72
TINY = Shape((8, 8), (16, 16, 16), (1, 1, 1, 1), 16)


def squares(count: int) -> Dataset:
    """Grey images with one bright square ("a") and one dark ("b") each."""
    rng = np.random.default_rng(1)
    images = np.full((count, HEIGHT, WIDTH, 3), 114, np.uint8)
    rows = []
    for index in range(count):
        for class_id, level in ((0, 255), (1, 0)):
            side = int(rng.integers(14, 28))
            x = int(rng.integers(0, WIDTH // 2 - side)) + class_id * WIDTH // 2
            y = int(rng.integers(0, HEIGHT - side))
            images[index, y : y + side, x : x + side] = level
            rows.append([index, class_id, x, y, x + side, y + side, 1.0])
    return Dataset(images, np.array(rows, np.float32), np.zeros(len(rows), bool), ("a", "b"))


def targets(box: list[float], *, ignore: bool = False) -> Targets:
    flag = torch.tensor([[not ignore]])
    return Targets(torch.tensor([[box]]), torch.tensor([[1]]), flag, ~flag)


def test_boxes_decode_as_the_detector_decodes_them() -> None:
    cells = grid(WIDTH, HEIGHT, STRIDES)
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(1, len(cells), 7)).astype(np.float32)
    raw[0, :, 4:] = 1.0
    boxes = decode(torch.from_numpy(raw), torch.from_numpy(cells))[0].numpy()
    found = decode_yolox(raw, WIDTH, HEIGHT, STRIDES, 0.0)
    np.testing.assert_allclose(found.boxes, boxes, rtol=1e-4, atol=1e-4)


def test_the_right_answer_costs_least() -> None:
    cells = grid(WIDTH, HEIGHT, STRIDES)
    box = [20.0, 10.0, 60.0, 50.0]
    perfect = torch.zeros(1, len(cells), 7)
    perfect[0, :, :4] = torch.from_numpy(encode_yolox(np.array([box] * len(cells)), cells))
    perfect[0, :, 4] = -9.0
    perfect[0, :, 5:] = torch.tensor([-9.0, 9.0])
    inside = [cell for cell, (x, y, s) in enumerate(cells) if s == 16 and 1 <= x <= 2 and y == 1]
    perfect[0, inside, 4] = 9.0
    table = torch.from_numpy(cells)
    least = loss(perfect, table, targets(box))
    moved, unsure, wrong = perfect.clone(), perfect.clone(), perfect.clone()
    moved[..., :2] += 0.7
    unsure[..., 4] = 0.0
    wrong[..., 5:] = -wrong[..., 5:]
    for worse in (moved, unsure, wrong):
        assert loss(worse, table, targets(box)) > least
    # The same objectness where an ignored object lies costs nothing, where nothing lies it does.
    nothing = loss(perfect, table, targets([70.0, 60.0, 80.0, 70.0], ignore=True))
    assert loss(perfect, table, targets(box, ignore=True)) < nothing


@pytest.fixture(scope="module")
def trained() -> Network:
    return train(
        squares(64), TINY, WIDTH, HEIGHT, steps=250, seed=1, start=None, report=lambda _: None
    )


def test_a_network_learns_and_survives_quantization(trained: Network, tmp_path: Path) -> None:
    full, small = tmp_path / "full.onnx", tmp_path / "small.onnx"
    export_onnx(trained, WIDTH, HEIGHT, full)
    dataset = squares(40)
    images = dataset.images.transpose(0, 3, 1, 2).astype(np.float32)
    quantize(full, small, (image[None] for image in images))
    card = ModelCard("yolox", ("a", "b"), WIDTH, HEIGHT)
    hits = {full: 0, small: 0}
    for path in hits:
        detector = Detector(path, card=card, min_score=0.2)
        for index in range(len(dataset)):
            found = detector.detect(dataset.images[index])
            truth = dataset.truth(index)
            for class_id, box in zip(truth.class_ids, truth.boxes, strict=True):
                near = np.abs(found.boxes[found.class_ids == class_id] - box).max(axis=1) < 6
                hits[path] += bool(near.any())
    # Few steps: far from all 80, and as far from the none that an untrained network finds.
    assert hits[full] >= 20
    assert hits[small] >= 0.8 * hits[full]


def test_the_same_seed_gives_the_same_network() -> None:
    def run(seed: int) -> np.ndarray:
        network = train(
            squares(16), TINY, WIDTH, HEIGHT, steps=3, seed=seed, start=None, report=lambda _: None
        )
        return network.outputs[0].weight.detach().numpy()

    np.testing.assert_array_equal(run(1), run(1))
    assert np.any(run(1) != run(2))
