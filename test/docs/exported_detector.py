"""A detector as a training tool exports it: the layout of YOLOv8, class names in the file."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

SIZE = 64
CLASSES = ("pallet", "person")
GRIDS = (8, 4, 2)
"""Cells on a side at strides of 8, 16 and 32 px."""


def exported_detector() -> ModelProto:
    """Return an untrained one; what it finds means nothing."""
    channels = 4 + len(CLASSES)
    rng = np.random.default_rng(1)
    held = [
        numpy_helper.from_array(
            rng.standard_normal((channels, 3, 1, 1)).astype(np.float32), "weights"
        )
    ]
    nodes = []
    for cells in GRIDS:
        side = SIZE // cells
        pool, image, rows, shape = (f"{name}{cells}" for name in ("pool", "image", "rows", "shape"))
        held.append(numpy_helper.from_array(np.array([1, channels, cells**2]), shape))
        nodes += [
            helper.make_node(
                "AveragePool", ["images"], [pool], kernel_shape=[side, side], strides=[side, side]
            ),
            helper.make_node("Conv", [pool, "weights"], [image], kernel_shape=[1, 1]),
            helper.make_node("Reshape", [image, shape], [rows]),
        ]
    nodes.append(helper.make_node("Concat", [f"rows{cells}" for cells in GRIDS], ["all"], axis=2))
    nodes.append(helper.make_node("Sigmoid", ["all"], ["output0"]))
    cells = sum(cells**2 for cells in GRIDS)
    graph = helper.make_graph(
        nodes,
        "exported",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, channels, cells])],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"names": repr(dict(enumerate(CLASSES)))})
    checker.check_model(model)
    return model
