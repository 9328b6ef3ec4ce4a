"""The model card: what a detector file expects and gives, in a small YAML file beside it.

`models/NAME.yaml` describes `models/NAME.onnx`. A model without a card is recognised by the shapes
of its input and output where these are those of a COCO model in a public layout.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from edge_robot.errors import UserError
from edge_robot.perception.coco import COCO_CLASSES
from edge_robot.perception.decoders.grid import grid
from edge_robot.share import share_dir

LAYOUTS = ("yolox", "fastestdet")
YOLOX_STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class ModelCard:
    """What a detector file expects and gives.

    Attributes:
        layout: Output layout: one of `LAYOUTS` (see `edge_robot.perception.decoders`).
        classes: Class names, in the order of the output.
        width: Input width, px.
        height: Input height, px.
        channels: Channel order of the input: `bgr` or `rgb`.
        resize: `letterbox` (keep the aspect, fill right and bottom) or `stretch`.
        pad: Grey value of the letterbox filling, 0..255.
        mean: Per channel, subtracted from values 0..255.
        std: Per channel, divides the result.
        strides: Grid strides of a `yolox` layout, px.
        score_threshold: Score from which a detection counts.
        nms_iou: Overlap from which the weaker of two boxes of one class is dropped.
        licence: Of the weights.
        source: Where the weights come from.
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
    strides: tuple[int, ...] = YOLOX_STRIDES
    score_threshold: float = 0.4
    nms_iou: float = 0.5
    licence: str = ""
    source: str = ""
    sha256: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values against each other.

        Raises:
            ValueError: one of them makes no sense; says which.
        """
        for name, allowed in (
            ("layout", LAYOUTS),
            ("channels", ("bgr", "rgb")),
            ("resize", ("letterbox", "stretch")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not one of {list(allowed)}")
        if not self.classes or not all(isinstance(name, str) for name in self.classes):
            raise ValueError("classes is not a list of names")
        for name in ("width", "height"):
            if not 1 <= getattr(self, name) <= 8192:
                raise ValueError(f"{name} is {getattr(self, name)}, not in 1..8192")
        for name in ("score_threshold", "nms_iou"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}, not in 0..1")
        if not 0 <= self.pad <= 255:
            raise ValueError(f"pad is {self.pad}, not in 0..255")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std):
            raise ValueError("mean and std need three values each, std none of 0")
        if not self.strides or min(self.strides) < 1:
            raise ValueError("strides is not a list of positive numbers")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the input tensor."""
        return (1, 3, self.height, self.width)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of the output tensor; None where any size will do."""
        channels = 5 + len(self.classes)
        if self.layout == "yolox":
            return (1, len(grid(self.width, self.height, self.strides)), channels)
        return (1, channels, None, None)

    def write(self, path: Path) -> None:
        """Write the card as YAML."""
        content = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def read_card(path: Path) -> ModelCard:
    """Read a model card.

    Raises:
        UserError: the file is no model card; says where and what to do.
    """
    try:
        content = yaml.safe_load(path.read_text())
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
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"model card {path} cannot be used: {reason}; "
            "see models/warehouse_edge.yaml for one that works"
        ) from error


def recognise(
    input_shape: tuple[object, ...], output_shape: tuple[object, ...]
) -> ModelCard | None:
    """Return the card of a COCO model in a public layout, by its tensor shapes alone.

    Returns:
        The card with the preprocessing its authors define; None where the shapes are unknown.
    """
    if len(input_shape) != 4 or input_shape[:2] != (1, 3):
        return None
    height, width = input_shape[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    channels = 5 + len(COCO_CLASSES)
    if output_shape == (1, len(grid(width, height, YOLOX_STRIDES)), channels):
        return ModelCard("yolox", COCO_CLASSES, width, height, score_threshold=0.3, nms_iou=0.45)
    if len(output_shape) == 4 and output_shape[:2] == (1, channels):
        return ModelCard(
            "fastestdet",
            COCO_CLASSES,
            width,
            height,
            resize="stretch",
            std=(255.0, 255.0, 255.0),
            score_threshold=0.3,
            nms_iou=0.45,
        )
    return None


def find_model(name: str) -> Path:
    """Return the model file of a name in `models/` or of a path.

    Raises:
        UserError: there is no such file; lists the models there are.
    """
    path = Path(name).expanduser()
    if path.suffix != ".onnx" and len(path.parts) == 1:
        path = share_dir() / "models" / f"{name}.onnx"
    if path.is_file():
        return path
    known = sorted(item.stem for item in (share_dir() / "models").glob("*.onnx"))
    raise UserError(
        f"no model file {path}; give the path of an .onnx file or one of: {', '.join(known)}"
    )
