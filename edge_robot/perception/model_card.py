"""The model card: what a detector file expects and gives, in a small YAML file beside it.

`models/NAME.yaml` describes `models/NAME.onnx`. A model without a card is recognised by its graph
where that leaves no doubt: see `edge_robot.perception.recognition`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from edge_robot.errors import UserError
from edge_robot.perception.decoders import LAYOUTS, UNUSED
from edge_robot.perception.decoders.layout import Shape, fits, shown
from edge_robot.perception.graph import Graph
from edge_robot.share import share_dir

MAX_CARD_BYTES = 2**20
MAX_CLASSES = 10_000

_CHOICES = {
    "layout": tuple(LAYOUTS),
    "channels": ("bgr", "rgb"),
    "resize": ("letterbox", "stretch"),
    "box_order": ("xyxy", "yxyx", "cxcywh"),
    "box_unit": ("fraction", "pixel"),
}
_WHOLE = {
    "width": (1, 8192),
    "height": (1, 8192),
    "pad": (0, 255),
    "first_class": (0, 1000),
    "size": (0, 2**31),
}
_FRACTIONS = ("score_threshold", "nms_iou")
_RARE = ("outputs", "box_order", "box_unit", "first_class", "url", "size")
_TEXTS = ("licence", "source", "url", "sha256")


@dataclass(frozen=True)
class ModelCard:
    """What a detector file expects and gives.

    Attributes:
        layout: Output layout: one of `edge_robot.perception.decoders.LAYOUTS`.
        classes: Class names, in the order of the output.
        width: Input width, px.
        height: Input height, px.
        channels: Channel order of the input: `bgr` or `rgb`.
        resize: `letterbox` (keep the aspect, fill right and bottom) or `stretch`.
        pad: Grey value of the letterbox filling, 0..255.
        mean: Per channel, subtracted from values 0..255.
        std: Per channel, divides the result.
        strides: Grid strides, px; the layout's own where none are given.
        outputs: What each output of the graph is, in its order: roles of the layout, or `unused`;
            the layout's usual ones where none are given.
        box_order: How an `ssd` layout writes a box: `xyxy`, `yxyx` or `cxcywh`.
        box_unit: In which unit: `fraction` of the input, or `pixel`.
        first_class: Which class index of an `ssd` layout is the first of `classes`.
        score_threshold: Score from which a detection counts.
        nms_iou: Overlap from which the weaker of two boxes of one class is dropped, in layouts
            that leave this to be done.
        licence: Of the weights.
        source: Where the weights come from.
        url: Where the file itself can be downloaded.
        size: Of the model file, bytes; 0 where not known.
        sha256: Of the model file; empty where not pinned.
        figures: Measurements that came with the model (accuracy, latency, date, seed …).
    """

    layout: str
    classes: tuple[str, ...]
    width: int
    height: int
    channels: str = "bgr"
    resize: str = "letterbox"
    pad: int = 114
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    strides: tuple[int, ...] = ()
    outputs: tuple[str, ...] = ()
    box_order: str = "xyxy"
    box_unit: str = "fraction"
    first_class: int = 1
    score_threshold: float = 0.4
    nms_iou: float = 0.5
    licence: str = ""
    source: str = ""
    url: str = ""
    size: int = 0
    sha256: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values against each other.

        Raises:
            ValueError: one of them makes no sense; says which.
        """
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not one of {list(allowed)}")
        if not _are(str, self.classes) or not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"classes is not a list of 1 to {MAX_CLASSES} names")
        for name, (least, most) in _WHOLE.items():
            value = getattr(self, name)
            if not _are(int, (value,)) or not least <= value <= most:
                raise ValueError(f"{name} is {value!r}, not a whole number in {least}..{most}")
        for name in _FRACTIONS:
            value = getattr(self, name)
            if not _are((int, float), (value,)) or not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value!r}, not in 0..1")
        for name in ("mean", "std"):
            value = getattr(self, name)
            if not _are((int, float), value) or len(value) != 3 or not all(map(_usable, value)):
                raise ValueError(f"{name} is not a list of three numbers of reasonable size")
        if not all(abs(value) > 1e-6 for value in self.std):
            raise ValueError("std has a 0; the input is divided by it")
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is no text")
        if self.sha256 and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError("sha256 is not 64 hexadecimal digits in lower case")
        if not isinstance(self.figures, dict):
            raise ValueError("figures is not a mapping")
        layout = LAYOUTS[self.layout]
        object.__setattr__(self, "strides", self.strides or layout.strides)
        if not _are(int, self.strides) or not all(1 <= stride <= 1024 for stride in self.strides):
            raise ValueError("strides is not a list of whole numbers in 1..1024")
        if not _are(str, self.outputs):
            raise ValueError("outputs is not a list of names")
        used = sorted(role for role in self.roles if role != UNUSED)
        if used not in [sorted(roles) for roles in layout.roles]:
            known = " or ".join(", ".join(roles) for roles in layout.roles)
            raise ValueError(
                f"outputs is {list(self.outputs)}; layout {self.layout} has {known}, "
                f"others are called {UNUSED}"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input tensor."""
        return (1, 3, self.height, self.width)

    @property
    def roles(self) -> tuple[str, ...]:
        """What each output of the graph is, in its order."""
        return self.outputs or LAYOUTS[self.layout].roles[0]

    def check_fit(self, graph: Graph, name: str) -> None:
        """Check that a graph takes and gives what the card says.

        Args:
            graph: The model's.
            name: What the error calls the model.

        Raises:
            UserError: it does not.
        """
        wanted = LAYOUTS[self.layout].shapes(self)
        shapes = [wanted.get(role, []) for role in self.roles]
        alike = (
            len(graph.inputs) == 1
            and len(graph.outputs) == len(self.roles)
            and _can_be(graph.inputs[0].shape, [self.input_shape])
            and all(
                role == UNUSED or _can_be(tensor.shape, alternatives)
                for role, tensor, alternatives in zip(
                    self.roles, graph.outputs, shapes, strict=True
                )
            )
        )
        if not alike:
            made = ", ".join(
                f"{role} {shown(alternatives)}" if alternatives else role
                for role, alternatives in zip(self.roles, shapes, strict=True)
            )
            raise UserError(
                f"model {name} has {graph}, but its card (layout {self.layout}, "
                f"{len(self.classes)} classes) needs input {shown([self.input_shape])} and {made}; "
                "correct the card or take another model"
            )
        if graph.inputs[0].type != "FLOAT":
            raise UserError(
                f"model {name} takes {graph.inputs[0].type}; export it with a float32 input"
            )

    def to_yaml(self) -> str:
        """Return the card as YAML; what few layouts or models need, only where it is given."""
        rare = {item.name: item.default for item in fields(self) if item.name in _RARE}
        content = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key not in rare or value != rare[key]
        }
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)

    def write(self, path: Path) -> None:
        """Write the card; see `to_yaml`."""
        path.write_text(self.to_yaml())


def read_card(path: Path) -> ModelCard:
    """Read a model card.

    Raises:
        UserError: the file is no model card; says where and what to do.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
        if len(text) > MAX_CARD_BYTES:
            raise ValueError(f"it has more than {MAX_CARD_BYTES} bytes")
        content = yaml.safe_load(text.decode())
        if not isinstance(content, dict):
            raise ValueError("not a YAML mapping")
        unknown = set(content) - {item.name for item in fields(ModelCard)}
        if unknown:
            raise ValueError(f"unknown keys {sorted(map(str, unknown))}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in content.items()
        }
        return ModelCard(**values)
    except (OSError, yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"model card {path} cannot be used: {reason}; "
            "see models/warehouse_edge.yaml for one that works"
        ) from error


def _are(kind: type | tuple[type, ...], values: object) -> bool:
    """Return whether a value is a tuple of that type; True and False are no numbers here."""
    return isinstance(values, tuple) and all(
        isinstance(value, kind) and not isinstance(value, bool) for value in values
    )


def _usable(value: float) -> bool:
    return math.isfinite(value) and abs(value) < 1e6


def _can_be(shape: tuple[object, ...] | None, alternatives: Sequence[Shape]) -> bool:
    return shape is None or any(fits(shape, wanted) for wanted in alternatives)


def user_models() -> Path:
    """Return the folder of the models that the user has added; it need not exist.

    By the XDG base directory specification: `$XDG_DATA_HOME/edge_robot/models`, else
    `~/.local/share/edge_robot/models`.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    # The specification has a relative path ignored.
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return folder / "edge_robot" / "models"


def model_folders() -> tuple[Path, Path]:
    """Return where models are looked for by name: those shipped, then those added."""
    return share_dir() / "models", user_models()


def find_model(name: str) -> Path:
    """Return the model file of a name, among those shipped and those added, or of a path.

    Raises:
        UserError: there is no such file; lists the models there are.
    """
    path = Path(name).expanduser()
    if path.suffix != ".onnx" and len(path.parts) == 1:
        for folder in model_folders():
            if (folder / f"{name}.onnx").is_file():
                return folder / f"{name}.onnx"
        if (share_dir() / "models" / "catalogue" / f"{name}.yaml").is_file():
            raise UserError(f"model {name} is not here yet; get it: edge-robot model add {name}")
        what = f"model file {name}.onnx among those shipped or added"
    elif path.is_file():
        return path
    else:
        what = f"model file {path}"
    known = sorted({item.stem for folder in model_folders() for item in folder.glob("*.onnx")})
    raise UserError(
        f"no {what}; give the path of an .onnx file or one of: {', '.join(known)} "
        "(`edge-robot model list` shows those that can be added)"
    )
