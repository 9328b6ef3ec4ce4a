"""Adding, listing, checking and removing models, with real files, servers and child processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from file_server import FileServer, serving
from model_mutants import CARD, CONTENT
from onnx import ModelProto, TensorProto, helper
from typer import Typer
from typer.testing import CliRunner

from edge_robot.cli.model import register
from edge_robot.errors import UserError
from edge_robot.perception import download, proof
from edge_robot.perception.adding import add
from edge_robot.perception.catalogue import check, entries, remove, trial_image
from edge_robot.perception.detector import Detector
from edge_robot.perception.model_card import ModelCard, find_model, read_card, user_models

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return user_models()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(CONTENT)
    CARD.write(path.with_suffix(".yaml"))
    return path


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def run(*arguments: str | Path) -> tuple[int, str]:
    app = Typer()
    register(app)
    ended = CliRunner().invoke(app, ["model", *map(str, arguments)])
    if isinstance(ended.exception, UserError):
        return 2, str(ended.exception)
    return ended.exit_code, ended.output


def test_a_file_is_added_listed_checked_used_and_removed(model: Path, tmp_path: Path) -> None:
    picture, facts = tmp_path / "drawn.png", tmp_path / "facts.json"
    status, said = run("add", model, "--name", "mine", "--picture", picture, "--json", facts)
    assert (status, "small.yaml" in said) == (0, True)
    assert picture.stat().st_size > 1000
    assert json.loads(facts.read_text())["sha256"] == SHA256
    assert left(user_models()) == ["mine.onnx", "mine.yaml"]
    assert read_card(user_models() / "mine.yaml").sha256 == SHA256
    assert Detector("mine").class_names == ("thing",)
    status, said = run("list", "--json", facts)
    states = {item["name"]: item["state"] for item in json.loads(facts.read_text())["models"]}
    assert status == 0
    assert states == {
        "mine": "added",
        "fastestdet": "available",
        "yolox_nano_416": "available",
        "warehouse_edge": "shipped",
        "warehouse_fleet": "shipped",
    } | {name: "shipped" for name in states if name.startswith("warehouse")}
    assert run("check", "mine")[0] == 0
    assert run("add", model, "--name", "mine")[0] == 2
    assert run("remove", "mine")[0] == 0
    assert left(user_models()) == []
    assert run("check", "mine")[0] == 2


def test_a_card_given_goes_before_the_one_beside(model: Path, tmp_path: Path) -> None:
    ModelCard("yolox", ("other",), 32, 32, licence="MIT").write(tmp_path / "given.yaml")
    added = add(str(model), image=trial_image(), card_file=tmp_path / "given.yaml")
    assert (added.entry.card.classes, added.entry.card.licence) == (("other",), "MIT")


def corrupt(model: ModelProto) -> None:
    del model.graph.node[:]


def external(model: ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def numberless(model: ModelProto) -> None:
    weights = np.full((6, 3, 3, 3), np.nan, np.float32)
    more = np.full((1, 6, 5), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "weights"))
    model.graph.initializer[3].CopyFrom(onnx.numpy_helper.from_array(more, "more"))


def unloadable(model: ModelProto) -> None:
    model.graph.node[0].op_type = "Convolution"


def greedy(model: ModelProto) -> None:
    """Make it ask for 4 TiB, by a size that is computed."""
    sizes = np.array([2**20, 2**20], np.int64)
    model.graph.initializer.append(onnx.numpy_helper.from_array(sizes, "sizes"))
    model.graph.node[-1].output[0] = "first"
    model.graph.node.extend(
        [
            helper.make_node("Identity", ["sizes"], ["shape_of_much"]),
            helper.make_node("ConstantOfShape", ["shape_of_much"], ["much"]),
            helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0),
            helper.make_node("Add", ["first", "sum"], ["cells"]),
        ]
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (greedy, "cannot be run"),
        (corrupt, "no graph"),
        (external, "another file"),
        (numberless, "no usable number"),
        (unloadable, "Convolution|load"),
    ],
)
def test_a_model_that_is_none_is_refused_and_nothing_stays(
    model: Path, change: object, reason: str
) -> None:
    changed = ModelProto.FromString(CONTENT)
    change(changed)  # type: ignore[operator]
    model.write_bytes(changed.SerializeToString())
    with pytest.raises(UserError, match=reason) as raised:
        add(str(model), image=trial_image())
    assert str(raised.value).isprintable()
    assert left(user_models()) == []


@pytest.mark.parametrize(
    "card",
    [
        ModelCard("yolox", ("a", "b"), 32, 32),
        ModelCard("yolox", ("a",), 64, 32),
        ModelCard("yolov8", ("a",), 32, 32),
        ModelCard("rt_detr", ("a",), 32, 32),
    ],
)
def test_a_card_of_another_model_is_refused_and_nothing_stays(
    model: Path, tmp_path: Path, card: ModelCard
) -> None:
    card.write(tmp_path / "other.yaml")
    with pytest.raises(UserError, match="its card"):
        add(str(model), image=trial_image(), card_file=tmp_path / "other.yaml")
    assert left(user_models()) == []


def endless(path: Path) -> Path:
    """Write a detector that counts to the largest number before it answers."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["still"]),
            helper.make_node("Identity", ["sum"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    changed = ModelProto.FromString(CONTENT)
    changed.graph.node[-1].output[0] = "first"
    changed.graph.node.append(
        helper.make_node("Loop", ["count", "true", "first"], ["cells"], body=body)
    )
    changed.graph.initializer.append(
        onnx.numpy_helper.from_array(np.array(2**62, np.int64), "count")
    )
    path.write_bytes(changed.SerializeToString())
    return path


def test_a_model_that_never_ends_is_ended(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "TIME", 1.5)
    with pytest.raises(UserError, match="did not end"):
        add(str(endless(model)), image=trial_image())
    assert left(user_models()) == []


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT)) as running:
        yield running


def test_an_address_is_fetched_and_goes_on_after_an_interruption(
    server: FileServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.cuts = [900]
    arguments = {"image": trial_image(), "name": "far", "card_file": model.with_suffix(".yaml")}
    with pytest.raises(UserError, match="900 bytes are here"):
        add(server.url, **arguments)  # type: ignore[arg-type]
    assert left(user_models()) == [".downloads"]
    added = add(server.url, sha256=SHA256, **arguments)  # type: ignore[arg-type]
    assert server.ranges[-1] == "bytes=900-"
    assert added.entry.card.url == server.url
    assert left(user_models()) == ["far.onnx", "far.yaml"]


def test_a_damaged_download_is_refused_and_nothing_stays(server: FileServer, model: Path) -> None:
    server.content = CONTENT[:-1] + b"\x00"
    with pytest.raises(UserError, match="sha256"):
        add(
            server.url,
            image=trial_image(),
            sha256=SHA256,
            card_file=model.with_suffix(".yaml"),
        )
    assert left(user_models()) == []


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "x" * 65, "a b", "warehouse_edge"])
def test_a_name_is_one_of_a_file_and_of_none_shipped(model: Path, name: str) -> None:
    with pytest.raises(UserError, match="called"):
        add(str(model), image=trial_image(), name=name or "-")
    assert left(user_models()) == []


@pytest.mark.parametrize("name", ["warehouse_edge", "../models/warehouse_edge", "nothing", ""])
def test_only_what_was_added_is_removed(name: str) -> None:
    with pytest.raises(UserError, match=r"shipped|has been added"):
        remove(name)
    assert find_model("warehouse_edge").is_file()


def test_what_is_shipped_stands_its_check() -> None:
    entry, result = check("warehouse_edge", trial_image())
    assert not entry.added
    assert result.labels.count("person") == 2
    assert result.latency_ms > 0


def test_a_file_that_changed_since_it_was_added_is_found_out(model: Path) -> None:
    added = add(str(model), image=trial_image()).entry.path
    assert added is not None
    added.write_bytes(CONTENT + b"\x7a\x00")  # an empty field more
    with pytest.raises(UserError, match="sha256"):
        check("small", trial_image())


def test_models_to_be_had_say_where_and_under_which_licence() -> None:
    available = [entry for entry in entries() if entry.path is None]
    assert {entry.name for entry in available} == {"fastestdet", "yolox_nano_416"}
    for entry in available:
        card = entry.card
        assert card.url.startswith("https://")
        assert len(card.sha256) == 64
        assert card.size
        assert card.licence in ("Apache-2.0", "BSD-3-Clause")
        with pytest.raises(UserError, match=f"model add {entry.name}"):
            find_model(entry.name)


def test_a_file_with_the_hash_of_the_catalogue_takes_its_card(
    shared_data: Path,
) -> None:
    name, path = "fastestdet", shared_data / "models" / "fastestdet_352.onnx"
    added = add(str(path), image=trial_image())
    assert (added.entry.name, added.entry.card.url[:8]) == (name, "https://")
    assert added.proof.labels.count("person") >= 2
    remove(name)
    assert add(name, image=trial_image(), file=path).entry.card == added.entry.card
    remove(name)
    with pytest.raises(UserError, match="sha256"):
        add(name, image=trial_image(), file=find_model("warehouse_edge"))
