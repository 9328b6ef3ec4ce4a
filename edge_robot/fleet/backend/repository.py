"""A folder of models in Triton's layout, which Triton itself can serve as it is.

    ROOT/NAME/config.pbtxt         what the model takes and gives (Triton's `ModelConfig`)
    ROOT/NAME/VERSION/model.onnx   the network; versions are whole numbers
    ROOT/NAME/VERSION/model.yaml   of a detector: its card (`perception.model_card`)
    ROOT/NAME/VERSION/model.py     of a detector: what lets Triton serve it by the same code

A model with a card is a detector: images in, detections out. Its entry is of Triton's Python
backend, and Triton answers it with the code of `detector_model`, so the tensors are the same there.
Here `model.py` is never executed. Any other model is served as Triton would: the graph's own
tensors, in batches where `max_batch_size` says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from edge_robot.errors import UserError
from edge_robot.fleet.backend.detector_model import DetectorModel
from edge_robot.fleet.backend.model_config import config_of, data_type
from edge_robot.fleet.backend.models import Model, TensorSpec
from edge_robot.fleet.backend.onnx_model import OnnxModel, tensor_specs
from edge_robot.perception.catalogue import NAME
from edge_robot.perception.detector import Detector, read_model
from edge_robot.perception.graph import describe
from edge_robot.perception.model_card import find_model
from edge_robot.perception.onnx_check import check_graph

CONFIG, GRAPH, CARD, SHIM = "config.pbtxt", "model.onnx", "model.yaml", "model.py"

MAX_CONFIG_BYTES = 2**20

_SHIM_CODE = '''"""Lets Triton's Python backend serve the detector beside this file."""

from edge_robot.fleet.backend.triton_python import TritonPythonModel  # noqa: F401
'''


@dataclass
class Repository:
    """What was found in a folder.

    Attributes:
        models: That can be served.
        refused: Why others cannot, by `NAME` or `NAME/VERSION`.
    """

    models: list[Model] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def load(root: Path, *, copies: int, engine: str = "onnxruntime") -> Repository:
    """Load all models of a folder, in the versions that their configuration asks for.

    A model that cannot be used is refused by name; the others are none the worse for it.

    Args:
        root: The folder.
        copies: Detectors to open of each: as many images can be computed at once.
        engine: Inference runtime of the detectors.

    Raises:
        UserError: the folder cannot be read, or holds no model that can be served.
    """
    found = Repository()
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError as error:
        raise UserError(
            f"model repository {root} cannot be read: {error.strerror}; give a folder with one "
            "folder for each model"
        ) from error
    for folder in folders:
        try:
            if not NAME.fullmatch(folder.name):
                raise UserError(f"{folder.name!r} is no name for a model; rename the folder")
            config = _read_config(folder)
            versions = _wanted_versions(folder, config)
        except UserError as error:
            found.refused[folder.name] = str(error)
            continue
        for version in versions:
            try:
                found.models.append(_load_model(folder, version, config, copies, engine))
            except UserError as error:
                found.refused[f"{folder.name}/{version}"] = str(error)
    if not found.models:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.refused.items())
        raise UserError(
            f"model repository {root} has no model that can be served "
            f"({reasons or 'it is empty'}); put models into it as NAME/1/model.onnx"
        )
    return found


def add(root: Path, model: str, name: str = "", *, max_batch_size: int = 0) -> Path:
    """Put a model into a repository, as its next version; make the folder if need be.

    Args:
        root: Of the repository.
        model: Path of an .onnx file, or the name of one in `models/`; with a card beside it, it is
            a detector.
        name: It is to be served under; the file's if empty.
        max_batch_size: Of the configuration, for a model that is no detector; 0: no batches.

    Returns:
        The folder of the new version.

    Raises:
        UserError: the model cannot be used, or the folder not be written.
    """
    path = find_model(model)
    name = name or path.stem
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a model; take letters, digits, '_', '-' and '.'")
    card = path.with_suffix(".yaml")
    content = read_model(path)
    if card.is_file():
        Detector(path)  # it can be loaded, and the card fits
        config = config_of(name, DetectorModel.inputs, DetectorModel.outputs)
        config.backend = "python"
    else:
        graph = describe(check_graph(content, str(path)))
        inputs, outputs = tensor_specs(graph, str(path))
        config = config_of(name, inputs, outputs, max_batch_size)
        config.backend = "onnxruntime"
        if max_batch_size:
            config.dynamic_batching.max_queue_delay_microseconds = 2000
    config.version_policy.latest.num_versions = 1
    version = max(_versions(root / name), default=0) + 1
    folder = root / name / str(version)
    try:
        folder.mkdir(parents=True)
        (folder / GRAPH).write_bytes(content)
        if card.is_file():
            shutil.copyfile(card, folder / CARD)
            (folder / SHIM).write_text(_SHIM_CODE)
        (root / name / CONFIG).write_text(text_format.MessageToString(config))
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; permit it") from error
    return folder


def _read_config(folder: Path) -> Any:
    """Return a model's configuration; an empty one where there is no file, as Triton allows.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / CONFIG
    if not path.exists():
        return pb.ModelConfig(name=folder.name)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
        if len(text) > MAX_CONFIG_BYTES:
            raise ValueError(f"it has more than {MAX_CONFIG_BYTES} bytes")
        # Newer Tritons have fields that the client library here does not know.
        config = text_format.Parse(text.decode(), pb.ModelConfig(), allow_unknown_field=True)
    except (OSError, ValueError, text_format.ParseError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path} cannot be used: {reason}; correct it") from error
    if config.name not in ("", folder.name):
        raise UserError(f"{path} names the model {config.name!r}, not as its folder; correct it")
    return config


def _versions(folder: Path) -> list[int]:
    """Return the versions in a model's folder, lowest first; Triton ignores other names, too."""
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return sorted(
        int(name) for name in names if name.isascii() and name.isdigit() and name[0] != "0"
    )


def _wanted_versions(folder: Path, config: Any) -> list[int]:
    """Return the versions that the policy of a model asks for; by default, the latest.

    Raises:
        UserError: one of them is not there, or there is none.
    """
    there = _versions(folder)
    if not there:
        raise UserError(f"{folder} has no version; put the model into {folder / '1' / GRAPH}")
    policy = config.version_policy
    which = policy.WhichOneof("policy_choice")
    if which == "all":
        return there
    if which == "specific":
        missing = sorted(set(policy.specific.versions) - set(there))
        if missing:
            raise UserError(f"{folder} has no version {missing[0]}, which {CONFIG} asks for")
        return sorted(policy.specific.versions)
    count = policy.latest.num_versions if which == "latest" else 1
    return there[-max(1, count) :]


def _load_model(folder: Path, version: int, config: Any, copies: int, engine: str) -> Model:
    """Load one version of a model.

    Raises:
        UserError: it cannot be served.
    """
    path = folder / str(version) / (config.default_model_filename or GRAPH)
    if path.parent != folder / str(version):
        raise UserError(f"{CONFIG} of {folder.name} names a file in another folder; correct it")
    if path.with_suffix(".yaml").is_file():
        return load_detector(path, folder.name, str(version), copies=copies, engine=engine)
    if config.backend not in ("", "onnxruntime") or config.platform not in ("", "onnxruntime_onnx"):
        raise UserError(
            f"model {folder.name} is for Triton's backend {config.backend or config.platform!r}; "
            "only ONNX files can be served here"
        )
    model = OnnxModel(folder.name, str(version), read_model(path), max_rows=config.max_batch_size)
    first = 1 if config.max_batch_size else 0
    for kind, entries, specs in (
        ("input", config.input, model.inputs),
        ("output", config.output, model.outputs),
    ):
        _check_config(folder.name, kind, entries, specs, first)
    return model


def load_detector(
    path: str | Path,
    name: str,
    version: str = "1",
    *,
    copies: int,
    engine: str = "onnxruntime",
    min_score: float | None = None,
    threads: int = 1,
) -> DetectorModel:
    """Load a detector and warm it up.

    Args:
        path: Of its .onnx file, or the name of one in `models/`.
        name: It is served under.
        version: A whole number, as text.
        copies: Detectors to open: as many images can be computed at once.
        engine: Inference runtime.
        min_score: Lowest score reported; the model card's by default.
        threads: Threads one inference may use.

    Raises:
        UserError: it cannot be loaded.
    """
    detectors = [
        Detector(path, min_score=min_score, engine=engine, threads=threads) for _ in range(copies)
    ]
    for detector in detectors:
        detector.warm_up()
    return DetectorModel(name, version, detectors)


def _check_config(
    name: str, kind: str, entries: Any, specs: Sequence[TensorSpec], first: int
) -> None:
    """Check that a configuration says of a model's tensors what the graph says.

    Raises:
        UserError: it does not.
    """
    known = {spec.name: spec for spec in specs}
    for entry in entries:
        if entry.HasField("reshape"):
            raise UserError(f"{CONFIG} of {name} reshapes {entry.name!r}, which is not done here")
        spec = known.get(entry.name)
        if spec is None:
            raise UserError(
                f"{CONFIG} of {name} has an {kind} {entry.name!r}, the graph has "
                f"{', '.join(known)}; correct it"
            )
        dims = list(entry.dims)
        shape = list(spec.shape[first:])
        fits = len(dims) == len(shape) and all(
            -1 in (have, want) or have == want for have, want in zip(dims, shape, strict=True)
        )
        if entry.data_type != data_type(spec) or not fits:
            raise UserError(
                f"{CONFIG} of {name} says that {kind} {entry.name!r} is "
                f"{pb.DataType.Name(entry.data_type)} {dims}, the graph {spec.datatype} {shape}; "
                "correct it"
            )
