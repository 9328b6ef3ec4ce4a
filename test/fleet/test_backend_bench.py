"""The sums of the backend's benchmark; the runs themselves take processes of their own."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edge_robot.bench.backend import DENSE, audit, dense_network, request_for
from edge_robot.fleet.backend.onnx_model import OnnxModel
from edge_robot.fleet.tensors import to_arrays


def test_what_was_computed_for_nobody_is_counted() -> None:
    run = [
        {"fates": {"OK": 3, "DEADLINE_EXCEEDED": 1}, "queued": [0.01, 0.3, 0.2]},
        {"fates": {"OK": 1}, "queued": [0.0]},
    ]
    assert audit(run, Counter(started=6, computed=4)) == {
        "fates": {"OK": 4, "DEADLINE_EXCEEDED": 1},
        "computed_without_answer": 2,
        "computed_after_expiry": 1,
    }


def test_the_dense_network_is_one_that_batches_can_be_made_of() -> None:
    request = to_arrays(request_for(DENSE))
    model = OnnxModel(DENSE, "1", dense_network((request["x"].shape[1], 8, 3)), max_rows=4)
    item = model.prepare(model.read(request))
    one, two = model.compute([item, item])
    assert isinstance(one, dict) and isinstance(two, dict)
    assert one["y"].shape == (1, 3) and np.array_equal(one["y"], two["y"])
