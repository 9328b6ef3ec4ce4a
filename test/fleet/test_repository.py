"""A folder of models in Triton's layout: written, read, and damaged."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from test_models import IDENTITY, network
from tritonclient.grpc import model_config_pb2 as pb
from typer.testing import CliRunner

from edge_robot.cli.model import register
from edge_robot.errors import UserError
from edge_robot.fleet.backend import repository
from edge_robot.perception.catalogue import trial_image


def entry(root: Path, name: str, versions: dict[str, bytes], config: str | None = None) -> None:
    for version, content in versions.items():
        (root / name / version).mkdir(parents=True)
        (root / name / version / "model.onnx").write_bytes(content)
    if config is not None:
        (root / name / "config.pbtxt").write_text(config)


def served(root: Path) -> list[tuple[str, str]]:
    return [(model.name, model.version) for model in repository.load(root, copies=1).models]


def test_what_is_added_is_served_and_a_new_version_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(network(IDENTITY))
    app = typer.Typer()
    register(app)
    for _ in range(2):
        deploy = ["model", "deploy", str(tmp_path / "net.onnx"), str(tmp_path / "models")]
        assert CliRunner().invoke(app, [*deploy, "--max-batch-size", "8"]).exit_code == 0
    (model,) = repository.load(tmp_path / "models", copies=1).models
    assert (model.name, model.version, model.max_batch) == ("net", "2", 8)
    assert [spec.shape for spec in model.inputs] == [(-1, 3)]
    config = (tmp_path / "models" / "net" / "config.pbtxt").read_text()
    parsed = repository.text_format.Parse(config, pb.ModelConfig())
    assert parsed.backend == "onnxruntime" and list(parsed.input[0].dims) == [3]


def test_version_policies_are_tritons(tmp_path: Path) -> None:
    files = {"1": network(IDENTITY), "2": network(IDENTITY), "10": network(IDENTITY)}
    entry(tmp_path, "default", files)
    entry(tmp_path, "latest", files, "version_policy { latest { num_versions: 2 } }")
    entry(tmp_path, "all", files | {"0": b"", "old": b""}, "version_policy { all {} }")
    entry(tmp_path, "one", files, "version_policy: { specific: { versions: [1] } }")
    entry(tmp_path, "newer", {"1": network(IDENTITY)}, 'field_of_a_later_triton: "x"')
    assert served(tmp_path) == [
        *(("all", version) for version in ("1", "2", "10")),
        ("default", "10"),
        ("latest", "2"),
        ("latest", "10"),
        ("newer", "1"),
        ("one", "1"),
    ]


def test_a_damaged_model_is_refused_by_name_and_the_others_serve(tmp_path: Path) -> None:
    good = network(IDENTITY)
    entry(tmp_path, "good", {"1": good})
    entry(tmp_path, "half", {"1": good[: len(good) // 2], "2": good}, "version_policy { all {} }")
    entry(tmp_path, "empty", {})
    (tmp_path / "empty").mkdir()
    entry(tmp_path, "typo", {"1": good}, "input [")
    entry(tmp_path, "misnamed", {"1": good}, 'name: "other"')
    entry(tmp_path, "missing", {"1": good}, "version_policy { specific { versions: 4 } }")
    entry(tmp_path, "wrong", {"1": good}, 'input { name: "x" data_type: TYPE_INT8 dims: [-1, 3] }')
    entry(tmp_path, "torch", {"1": good}, 'platform: "pytorch_libtorch"')
    entry(tmp_path, "escape", {"1": good}, 'default_model_filename: "../../good/1/model.onnx"')
    (tmp_path / "README.md").write_text("not a model")
    found = repository.load(tmp_path, copies=1)
    assert [(m.name, m.version) for m in found.models] == [("good", "1"), ("half", "2")]
    assert set(found.refused) == {
        "half/1",
        "empty",
        "typo",
        "misnamed",
        "missing",
        "wrong/1",
        "torch/1",
        "escape/1",
    }
    assert "INT8" in found.refused["wrong/1"] and "version 4" in found.refused["missing"]
    with pytest.raises(UserError, match="no model that can be served"):
        repository.load(tmp_path / "empty", copies=1)
    with pytest.raises(UserError, match="cannot be read"):
        repository.load(tmp_path / "nowhere", copies=1)


class FakeTriton(ModuleType):
    """What Triton's Python backend gives to a model."""

    class TritonModelException(Exception): ...

    class TritonError:
        INVALID_ARG = 3

        def __init__(self, message: str, code: int) -> None:
            self.message, self.code = message, code

    class Tensor:
        def __init__(self, name: str, array: np.ndarray) -> None:
            self._name, self._array = name, array

        def name(self) -> str:
            return self._name

        def as_numpy(self) -> np.ndarray:
            return self._array

    class InferenceResponse:
        def __init__(self, tensors: Any = (), error: Any = None, parameters: Any = None) -> None:
            self.tensors = {tensor.name(): tensor.as_numpy() for tensor in tensors}
            self.error, self.parameters = error, parameters

    class Request:
        def __init__(self, name: str, array: np.ndarray) -> None:
            self._tensors = [FakeTriton.Tensor(name, array)]

        def inputs(self) -> list[FakeTriton.Tensor]:
            return self._tensors


def test_a_detector_is_served_by_the_same_code_here_and_in_triton(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository.add(tmp_path, "warehouse_edge")
    image = cv2.imread(str(trial_image()))
    jpeg = np.array([cv2.imencode(".jpg", image)[1].tobytes()], object)
    (model,) = repository.load(tmp_path, copies=1).models
    assert {spec.name for spec in model.inputs} == {"jpeg", "image"}
    (here,) = model.compute([model.prepare(model.read({"jpeg": jpeg}))])
    assert isinstance(here, dict) and len(here["boxes"]) > 0

    fake = FakeTriton("triton_python_backend_utils")
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake)
    monkeypatch.syspath_prepend(folder)
    there = importlib.import_module("model").TritonPythonModel()
    monkeypatch.delitem(sys.modules, "model")
    monkeypatch.delitem(sys.modules, "edge_robot.fleet.backend.triton_python")
    there.initialize(
        {
            "model_repository": str(folder.parent),
            "model_version": folder.name,
            "model_name": "warehouse_edge",
        }
    )
    requests = [FakeTriton.Request("jpeg", jpeg), FakeTriton.Request("picture", jpeg)]
    answer, refusal = there.execute(requests)
    assert answer.error is None and np.array_equal(answer.tensors["boxes"], here["boxes"])
    assert "'picture' is unknown" in refusal.error.message
    broken = {"model_repository": str(tmp_path), "model_version": "9", "model_name": "x"}
    with pytest.raises(fake.TritonModelException):
        there.initialize(broken)
