"""A detector of bright squares, small enough to be quantized in a test, and images for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_robot.perception.model_card import ModelCard

SIZE, CELL = 48, 8
CARD = ModelCard(
    layout="yolox",
    classes=("square",),
    width=SIZE,
    height=SIZE,
    strides=(CELL,),
    score_threshold=0.3,
    std=(255.0, 255.0, 255.0),
)


def write_tiny_detector(path: Path, loud: float) -> Path:
    """Write the model and its card: each cell's brightness is the score of a square there.

    Args:
        path: The .onnx file.
        loud: How much more than the brightness an unused channel between the second and third
            layer says. If much, one scale for both leaves nothing of the brightness in int8.
    """
    channels = 4
    first = np.full((channels, 3, 2, 2), 1 / 12)
    second = np.zeros((channels, channels, 2, 2))
    second[0] = second[1] = second[2] = 1 / (4 * channels)
    second[3] = loud / (4 * channels)
    third = np.zeros((channels, channels, 2, 2))
    third[:, :3] = 1 / 12
    third[:, 3] = 1e-7 / max(loud, 1.0)
    last = np.zeros((6, channels, 1, 1))
    last[4] = 12 / channels
    bias = np.array([0.5, 0.5, 0.0, 0.0, -6.0, 6.0])
    tensors = {"w0": first, "w1": second, "w2": third, "w3": last, "b3": bias}
    nodes = []
    source = "images"
    for index in range(3):
        nodes += [
            helper.make_node(
                "Conv", [source, f"w{index}"], [f"c{index}"], f"conv{index}", strides=[2, 2]
            ),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"], f"relu{index}"),
        ]
        source = f"r{index}"
    cells = (SIZE // CELL) ** 2
    nodes += [
        helper.make_node("Conv", [source, "w3", "b3"], ["c3"], "conv3"),
        helper.make_node("Split", ["c3", "sizes"], ["box", "scores"], "split", axis=1),
        helper.make_node("Sigmoid", ["scores"], ["sure"], "sigmoid"),
        helper.make_node("Concat", ["box", "sure"], ["all"], "concat", axis=1),
        helper.make_node("Reshape", ["all", "shape"], ["flat"], "reshape"),
        helper.make_node("Transpose", ["flat"], ["cells"], "transpose", perm=[0, 2, 1]),
    ]
    initializers = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in tensors.items()]
    initializers += [
        numpy_helper.from_array(np.array([4, 2]), "sizes"),
        numpy_helper.from_array(np.array([1, 6, cells]), "shape"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("cells", TensorProto.FLOAT, [1, cells, 6])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    CARD.write(path.with_suffix(".yaml"))
    return path


def write_images(folder: Path, count: int) -> tuple[Path, Path]:
    """Write images of bright squares among dim ones, with labels for the bright ones."""
    images, labels = folder / "images", folder / "labels"
    images.mkdir(parents=True)
    labels.mkdir()
    (labels / "names.txt").write_text("square\n")
    generator = np.random.default_rng(5)
    for index in range(count):
        image = generator.integers(0, 40, (SIZE, SIZE, 3), np.uint8)
        lines = []
        for cell in generator.choice((SIZE // CELL) ** 2, 8, replace=False):
            row, column = divmod(int(cell), SIZE // CELL)
            bright = len(lines) < 4
            patch = image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
            patch[:] = generator.integers(170, 250) if bright else generator.integers(40, 110)
            if bright:
                share = CELL / SIZE
                lines.append(f"0 {(column + 0.5) * share} {(row + 0.5) * share} {share} {share}")
        cv2.imwrite(str(images / f"{index:02}.png"), image)
        (labels / f"{index:02}.txt").write_text("\n".join(lines) + "\n")
    return images, labels
