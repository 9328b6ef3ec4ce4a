"""Models of every layout through the whole detector: several outputs, whole numbers among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from test_layouts import CARDS, HEIGHT, WIDTH, outputs_of

from edge_robot.perception.decoders import decode
from edge_robot.perception.decoders.boxes import suppress
from edge_robot.perception.detector import Detector
from edge_robot.perception.model_card import ModelCard

WHOLE = ("classes", "count")


def write_model(path: Path, card: ModelCard, outputs: list[np.ndarray]) -> None:
    """Write a model that gives the same outputs for every image, classes as whole numbers."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    held = [onnx.numpy_helper.from_array(np.float32(0.0), "zero")]
    made = []
    for role, output in zip(card.roles, outputs, strict=True):
        held.append(onnx.numpy_helper.from_array(output, f"held_{role}"))
        nodes.append(helper.make_node("Add", [f"held_{role}", "nothing"], [f"sum_{role}"]))
        kind = TensorProto.INT64 if role in WHOLE else TensorProto.FLOAT
        nodes.append(helper.make_node("Cast", [f"sum_{role}"], [role], to=kind))
        made.append(helper.make_tensor_value_info(role, kind, output.shape))
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    graph = helper.make_graph(nodes, "constant", [image], made, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    card.write(path.with_suffix(".yaml"))


@pytest.mark.parametrize("card", CARDS, ids=lambda card: "-".join((card.layout, *card.outputs)))
def test_a_detector_of_every_layout_gives_what_its_outputs_say(
    tmp_path: Path, card: ModelCard
) -> None:
    outputs = outputs_of(card, np.random.default_rng(1))
    write_model(tmp_path / "m.onnx", card, outputs)
    found = Detector(tmp_path / "m.onnx", min_score=0.2).detect(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    )
    wanted = decode(outputs, card, 0.2)
    kept = suppress(wanted, card.nms_iou)
    boxes = np.clip(wanted.boxes[kept], 0.0, [WIDTH, HEIGHT] * 2)
    visible = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    assert len(found) > 0
    np.testing.assert_allclose(found.boxes, boxes[visible], atol=0.01)
    np.testing.assert_array_equal(found.class_ids, wanted.class_ids[kept][visible])
