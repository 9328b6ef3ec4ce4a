"""Training itself; skipped where PyTorch is not installed, as on a robot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is absent: training is not tested")

from edge_robot.errors import UserError  # noqa: E402
from edge_robot.perception.decoders.grid import grid  # noqa: E402
from edge_robot.perception.decoders.yolox import decode_yolox  # noqa: E402
from edge_robot.perception.detector import Detector  # noqa: E402
from edge_robot.perception.model_card import ModelCard, read_card  # noqa: E402
from edge_robot.perception.training.dataset import Dataset  # noqa: E402
from edge_robot.perception.training.export import export_onnx, quantize  # noqa: E402
from edge_robot.perception.training.losses import Targets, decode, loss  # noqa: E402
from edge_robot.perception.training.network import STRIDES, Shape  # noqa: E402
from edge_robot.perception.training.network import Detector as Network  # noqa: E402
from edge_robot.perception.training.recipes import Recipe, choose, make  # noqa: E402
from edge_robot.perception.training.sets import own  # noqa: E402
from edge_robot.perception.training.trainer import (  # noqa: E402
    Progress,
    choose_device,
    train,
)
from edge_robot.perception.training.weights import (  # noqa: E402
    save_weights,
    starting_weights,
)

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
    stride = cells[:, 2:]
    perfect[0, :, :2] = torch.from_numpy(np.array([40.0, 30.0]) / stride - cells[:, :2])
    perfect[0, :, 2:4] = torch.from_numpy(np.log(40.0 / stride))
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


def teach(
    dataset: Dataset,
    steps: int,
    *,
    seed: int = 1,
    start: Mapping[str, torch.Tensor] | None = None,
    checkpoint: Path | None = None,
    stop_after: int | None = None,
) -> Network:
    def report(progress: Progress) -> None:
        if progress.step == stop_after:
            raise KeyboardInterrupt

    return train(
        dataset,
        TINY,
        WIDTH,
        HEIGHT,
        steps=steps,
        batch=16,
        rate=2e-3,
        seed=seed,
        start=start,
        checkpoint=checkpoint,
        report=report,
        device=torch.device("cpu"),
    ).network


@pytest.fixture(scope="module")
def trained() -> Network:
    return teach(squares(64), 250)


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


def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(asked).type for asked in ("auto", "cuda", "cpu")] == [
        "cuda",
        "cuda",
        "cpu",
    ]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(UserError, match="or use cpu"):
        choose_device("cuda")
    with pytest.raises(UserError, match="use auto, cpu or cuda"):
        choose_device("tpu")


def test_the_same_seed_gives_the_same_network() -> None:
    def run(seed: int) -> np.ndarray:
        return teach(squares(16), 3, seed=seed).outputs[0].weight.detach().numpy()

    np.testing.assert_array_equal(run(1), run(1))
    assert np.any(run(1) != run(2))


def test_an_interrupted_run_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_robot.perception.training.trainer._CHECKPOINT_STEPS", 4)
    monkeypatch.setattr("edge_robot.perception.training.trainer._REPORT_STEPS", 3)
    dataset, file = squares(16), tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        teach(dataset, 10, checkpoint=file, stop_after=6)
    with pytest.raises(UserError, match="unfinished run with other steps"):
        teach(dataset, 11, checkpoint=file)
    resumed, straight = teach(dataset, 10, checkpoint=file), teach(dataset, 10)
    for again, once in zip(
        resumed.state_dict().values(), straight.state_dict().values(), strict=True
    ):
        assert torch.equal(again, once)


@pytest.mark.parametrize("kind", ["full", "small"])
def test_weights_come_back_from_a_model_file(kind: str, trained: Network, tmp_path: Path) -> None:
    """Also from int8, within its precision; classes are found by name."""
    full, small = tmp_path / "full.onnx", tmp_path / "small.onnx"
    export_onnx(trained, WIDTH, HEIGHT, full)
    images = torch.from_numpy(squares(8).images.transpose(0, 3, 1, 2).astype(np.float32))
    quantize(full, small, (image[None].numpy() for image in images))
    path = {"full": full, "small": small}[kind]
    ModelCard("yolox", ("a", "b"), WIDTH, HEIGHT).write(path.with_suffix(".yaml"))
    network = Network(TINY, 3).eval()
    network.load_state_dict(starting_weights(path, TINY, ["b", "new", "a"], images))
    with torch.no_grad():
        expected, got = trained(images), network(images)[..., [0, 1, 2, 3, 4, 7, 5]]
        error = (got - expected).abs().mean() / expected.abs().mean()
        assert error < (1e-4 if kind == "full" else 0.05)
        # Normalisation is back: in training mode, on the same images, the answer is the same.
        network.train()
        error = (network(images)[..., [0, 1, 2, 3, 4, 7, 5]] - got).abs().mean()
        assert error < 1e-3 * got.abs().mean()


def test_weights_of_another_shape_are_refused(trained: Network, tmp_path: Path) -> None:
    path, images = tmp_path / "weights.pt", torch.zeros(1, 3, HEIGHT, WIDTH)
    save_weights(trained, ["a", "b"], path)
    starting_weights(path, TINY, ["a", "b"], images)
    other = Shape((8, 8), (16, 16, 24), (1, 1, 1, 1), 16)
    with pytest.raises(UserError, match="holds no weights for this network"):
        starting_weights(path, other, ["a", "b"], images)
    with pytest.raises(UserError, match="no weights"):
        starting_weights(tmp_path / "absent.pt", TINY, ["a", "b"], images)
    path.write_bytes(b"not weights")
    with pytest.raises(UserError, match="holds no weights"):
        starting_weights(path, TINY, ["a", "b"], images)


def test_int8_ships_only_where_it_is_faster_and_as_good() -> None:
    def figures(cost: float, speed_up: float) -> dict[str, object]:
        return {"int8_costs_map50_95": cost, "int8_speed_up": {"end_to_end": speed_up}}

    assert choose(figures(0.005, 1.5)) == "int8"
    assert choose(figures(-0.01, 1.5)) == "int8"
    assert choose(figures(0.006, 1.5)) == "fp32"
    assert choose(figures(0.0, 0.9)) == "fp32"


def test_a_detector_is_made_of_ones_own_images(tmp_path: Path) -> None:
    shown, labels = tmp_path / "photos", tmp_path / "labels"
    shown.mkdir()
    labels.mkdir()
    dataset = squares(8)
    for index in range(len(dataset)):
        cv2.imwrite(str(shown / f"{index}.png"), dataset.images[index])
        truth = dataset.truth(index)
        lines = [
            f"{class_id} {0.5 * (x1 + x2) / WIDTH} {0.5 * (y1 + y2) / HEIGHT} "
            f"{(x2 - x1) / WIDTH} {(y2 - y1) / HEIGHT}"
            for class_id, (x1, y1, x2, y2) in zip(truth.class_ids, truth.boxes, strict=True)
        ]
        (labels / f"{index}.txt").write_text("\n".join(lines))
    (labels / "names.txt").write_text("bright\ndark\n")
    recipe = Recipe(TINY, WIDTH, HEIGHT, 3, 16, 1e-3, None, "squares")
    sets = own(shown, labels, WIDTH, HEIGHT, seed=1)
    assert (len(sets.training), len(sets.scoring)) == (6, 2)
    said: list[str] = []
    path = make(
        "squares",
        recipe,
        sets,
        tmp_path / "made",
        tmp_path / "work",
        steps=None,
        seed=1,
        start=None,
        report=said.append,
        device=torch.device("cpu"),
    )
    card = read_card(path.with_suffix(".yaml"))
    assert card.classes == ("bright", "dark")
    assert card.figures["scored_on"] == "2 images of photos not trained on"
    assert card.figures["int8"]["inference_ms"] > 0.0
    assert card.figures["reference"]["frames"] == 2
    assert "person_ap50_within_10_m" not in card.figures["int8"]
    assert card.figures["trained_with"] == "CPU"
    assert any("step 3 of 3" in line for line in said)
    Detector(path).detect(dataset.images[0])
