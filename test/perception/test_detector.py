"""The engine on real models: ours, small ones made here, and the public ones where present."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper

from edge_robot.errors import UserError
from edge_robot.perception.detector import Detector
from edge_robot.perception.engines import ENGINES
from edge_robot.perception.evaluation import Labels, mean_average_precision
from edge_robot.perception.images import read_image
from edge_robot.perception.model_card import ModelCard

INSTALLED = [name for name in ENGINES if find_spec(name) is not None]
OURS = ("warehouse_edge", "warehouse_fleet")


def constant_model(path: Path, output: np.ndarray, width: int, height: int) -> Path:
    """Write a model that gives the same output for every image (it adds 0 × the image's mean)."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["output", "nothing"], ["cells"]),
        ],
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("cells", TensorProto.FLOAT, output.shape)],
        [
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
            helper.make_tensor("output", TensorProto.FLOAT, output.shape, output.ravel()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture
def one_box_model(tmp_path: Path) -> Path:
    """A 64×64 model that always sees a person at (8, 16)–(24, 48) and one outside the image."""
    rows = np.zeros((1, 8 * 8 + 4 * 4 + 2 * 2, 7), np.float32)
    rows[0, 4 * 8 + 2] = [0.0, 0.0, np.log(2.0), np.log(4.0), 0.9, 1.0, 0.2]
    rows[0, 5 * 8 + 2] = [0.0, -1.0, np.log(2.0), np.log(4.0), 0.5, 1.0, 0.2]  # suppressed
    rows[0, 63] = [0.9, 0.9, np.log(0.1), np.log(0.1), 0.9, 0.0, 1.0]
    path = constant_model(tmp_path / "one_box.onnx", rows, 64, 64)
    ModelCard("yolox", ("person", "box"), 64, 64).write(path.with_suffix(".yaml"))
    return path


def test_boxes_come_back_in_pixels_of_the_raw_image(one_box_model: Path) -> None:
    detector = Detector(one_box_model)
    found = detector.detect(np.zeros((128, 128, 3), np.uint8))
    np.testing.assert_allclose(
        found.boxes, [[16, 32, 48, 96], [125.6, 125.6, 127.2, 127.2]], atol=0.1
    )
    assert found.labels == ["person", "box"]
    assert found.boxes.dtype == np.float32
    # A raw image that fills the upper quarter of the input: both boxes lie in the filling.
    assert len(detector.detect(np.zeros((32, 128, 3), np.uint8))) == 0


def test_min_score_is_the_cards_unless_given(one_box_model: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    assert len(Detector(one_box_model, min_score=0.95).detect(image)) == 0
    assert Detector(one_box_model).min_score == ModelCard("yolox", ("a",), 8, 8).score_threshold


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_said(one_box_model: Path, image: np.ndarray) -> None:
    with pytest.raises(UserError, match="height × width × 3"):
        Detector(one_box_model).detect(image)


def test_a_card_with_another_hash_is_refused(one_box_model: Path) -> None:
    ModelCard("yolox", ("person", "box"), 64, 64, sha256="0" * 64).write(
        one_box_model.with_suffix(".yaml")
    )
    with pytest.raises(UserError, match="sha256"):
        Detector(one_box_model)


@pytest.mark.parametrize(
    "card",
    [
        ModelCard("yolox", ("person", "box"), 96, 64),
        ModelCard("yolox", ("person", "box", "shelf"), 64, 64),
        ModelCard("fastestdet", ("person", "box"), 64, 64),
    ],
)
def test_a_card_of_another_shape_is_refused(one_box_model: Path, card: ModelCard) -> None:
    with pytest.raises(UserError, match=r"input \[1, 3, 64, 64\].*card"):
        Detector(one_box_model, card=card)


def test_an_unknown_layout_without_a_card_is_refused(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", np.zeros((1, 10), np.float32), 64, 64)
    with pytest.raises(UserError, match="no known layout"):
        Detector(path)


@pytest.mark.parametrize("size", [0, 1, 1000, 20_000])
def test_a_broken_model_is_one_clear_line(tmp_path: Path, size: int) -> None:
    whole = Detector("warehouse_edge").path.read_bytes()
    path = tmp_path / "broken.onnx"
    path.write_bytes(whole[:size])
    with pytest.raises(UserError, match="no ONNX model") as raised:
        Detector(path)
    assert "\n" not in str(raised.value)


@given(content=st.binary(max_size=300))
@settings(max_examples=50)
def test_no_bytes_make_the_loader_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError):
        Detector(path)


@pytest.fixture(scope="module")
def edge() -> Detector:
    return Detector("warehouse_edge", min_score=0.05)


@given(
    image=hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 200), st.integers(1, 200), st.just(3)),
        elements=st.integers(0, 255),
        fill=st.integers(0, 255),
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_image_gives_boxes_inside_it(edge: Detector, image: np.ndarray) -> None:
    found = edge.detect(image)
    height, width = image.shape[:2]
    assert np.all(found.boxes >= 0)
    assert np.all(found.boxes <= [width, height, width, height])
    assert np.all(found.boxes[:, 2:] > found.boxes[:, :2])
    assert np.all((found.scores >= 0.05) & (found.scores <= 1.0))


@pytest.mark.parametrize("name", OURS)
def test_our_models_are_small_described_and_run(name: str) -> None:
    detector = Detector(name)
    assert detector.path.stat().st_size < 2_000_000
    assert detector.card.sha256 == hashlib.sha256(detector.path.read_bytes()).hexdigest()
    assert detector.card.licence
    assert "person" in detector.class_names
    assert detector.provider in ("CPUExecutionProvider", "CUDAExecutionProvider")
    detector.warm_up(1)


@pytest.mark.parametrize("name", OURS)
def test_our_models_find_the_people_of_a_rendered_image(name: str) -> None:
    """On a committed image of the simulator, drawn from a world not trained on."""
    image = read_image(Path(__file__).parent / "warehouse.jpg")
    labels = np.loadtxt(Path(__file__).parent / "warehouse.txt", ndmin=2, dtype=np.float32)
    found = Detector(name).detect(image)
    people = np.flatnonzero(found.class_ids == found.class_names.index("person"))
    truth = Labels(labels, np.zeros(len(labels), np.int64), np.zeros(len(labels), bool))
    assert len(people) == len(labels)
    assert mean_average_precision([found], [truth]) > 0.9


def coco_labels(path: Path, width: int, height: int) -> Labels:
    rows = np.loadtxt(path, ndmin=2) if path.stat().st_size else np.zeros((0, 5))
    centre, half = rows[:, 1:3] * [width, height], 0.5 * rows[:, 3:5] * [width, height]
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return Labels(boxes, rows[:, 0].astype(np.int64), np.zeros(len(rows), bool))


@pytest.mark.parametrize(("model", "least"), [("yolox_nano_416", 0.40), ("fastestdet_352", 0.25)])
def test_public_models_agree_with_the_labels_of_coco(
    shared_data: Path, model: str, least: float
) -> None:
    detector = Detector(shared_data / "models" / f"{model}.onnx", min_score=0.02)
    found, truth = [], []
    for path in sorted((shared_data / "coco128" / "images").glob("*.jpg"))[:40]:
        image = read_image(path)
        found.append(detector.detect(image))
        label_path = shared_data / "coco128" / "labels" / f"{path.stem}.txt"
        truth.append(coco_labels(label_path, image.shape[1], image.shape[0]))
    assert mean_average_precision(found, truth) > least


@pytest.mark.parametrize("engine", INSTALLED)
def test_nothing_of_one_image_is_left_in_the_next(engine: str) -> None:
    image = read_image(Path(__file__).parent / "warehouse.jpg")
    turned, small = image[::-1], image[: image.shape[0] // 2, : image.shape[1] // 3]
    detector = Detector("warehouse_edge", engine=engine, min_score=0.1)
    alone = [
        Detector("warehouse_edge", engine=engine, min_score=0.1).detect(each)
        for each in (image, turned, small)
    ]
    for _ in range(2):
        for each, expected in zip((image, turned, small), alone, strict=True):
            found = detector.detect(each)
            np.testing.assert_array_equal(found.boxes, expected.boxes)
            np.testing.assert_array_equal(found.scores, expected.scores)
    assert len({found.scores.tobytes() for found in alone}) == 3


def test_threads_take_turns_with_one_detector() -> None:
    detector = Detector("warehouse_edge", min_score=0.1)
    image = read_image(Path(__file__).parent / "warehouse.jpg")
    images = [image, image[::-1], image[:, ::-1]] * 8
    expected = [detector.detect(each).scores.tobytes() for each in images]
    with ThreadPoolExecutor(3) as pool:
        assert [found.scores.tobytes() for found in pool.map(detector.detect, images)] == expected


def test_the_engine_and_what_it_runs_on_are_said() -> None:
    detector = Detector("warehouse_edge", provider="cpu")
    assert (detector.engine, detector.provider) == ("onnxruntime", "CPUExecutionProvider")
    with pytest.raises(UserError, match="tensorrt"):
        Detector("warehouse_edge", engine="openvino", provider="tensorrt")
