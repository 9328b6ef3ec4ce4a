"""The camera detector: one ONNX model, run by ONNX Runtime."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

# ONNX Runtime's exceptions share no base class but Exception, and live only here.
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from edge_robot.errors import UserError
from edge_robot.perception.decoders import decode
from edge_robot.perception.decoders.boxes import suppress
from edge_robot.perception.detections import Detections
from edge_robot.perception.graph import Graph, describe
from edge_robot.perception.model_card import ModelCard, find_model, read_card
from edge_robot.perception.onnx_check import check_graph
from edge_robot.perception.preprocessing import letterbox, stretch, to_tensor
from edge_robot.perception.recognition import recognise

PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
"""Execution providers, best first; those this ONNX Runtime lacks are left out."""

_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class Detector:
    """Finds objects in images with a model in one of the known layouts.

    Args:
        model: Path of an .onnx file, or the name of one in `models/`.
        min_score: Lowest score reported; the model card's threshold by default.
        threads: Threads one inference may use.
        card: What the model expects and gives; by default read from the YAML file beside it or,
            where there is none, recognised by the shapes of its tensors.

    Attributes:
        path: The model file.
        card: Its card.
        sha256: Hash of the model file.
        provider: The execution provider in use, as ONNX Runtime reports it.

    Raises:
        UserError: the model or its card is missing, broken, or they do not fit each other.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        min_score: float | None = None,
        threads: int = 1,
        card: ModelCard | None = None,
    ) -> None:
        self.path = find_model(str(model))
        content = _read(self.path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        graph = describe(check_graph(content, str(self.path)))
        self.card = card or self._find_card(graph)
        self._check_hash()
        self.card.check_fit(graph, str(self.path))
        self._session = _open_session(self.path, content, threads)
        self.provider: str = self._session.get_providers()[0]
        self.min_score = self.card.score_threshold if min_score is None else min_score
        self._input_name: str = self._session.get_inputs()[0].name
        self._swap_channels = self.card.channels == "rgb"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all classes the model knows."""
        return self.card.classes

    def warm_up(self, runs: int = 3) -> None:
        """Run on blank images, so that the first real image meets no lazy initialisation."""
        blank = np.zeros((self.card.height, self.card.width, 3), np.uint8)
        for _ in range(runs):
            self.detect(blank)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find objects in one image.

        Args:
            image: (H, W, 3) uint8, BGR.

        Raises:
            UserError: the array is no such image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise UserError(
                f"image has shape {image.shape} and type {image.dtype}; "
                "a detector needs height × width × 3 of uint8"
            )
        card = self.card
        if card.resize == "letterbox":
            scaled, placement = letterbox(image, card.width, card.height, card.pad)
        else:
            scaled, placement = stretch(image, card.width, card.height)
        tensor = to_tensor(scaled, card.mean, card.std, self._swap_channels)
        outputs = self._session.run(None, {self._input_name: tensor})
        candidates = decode(outputs, card, self.min_score)
        kept = suppress(candidates, card.nms_iou)
        boxes = placement.to_raw(candidates.boxes[kept])
        # A box wholly in the filling, or outside the image, is clipped to nothing.
        visible = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
        kept, boxes = kept[visible], boxes[visible]
        return Detections(boxes, candidates.scores[kept], candidates.class_ids[kept], card.classes)

    def _find_card(self, graph: Graph) -> ModelCard:
        card_path = self.path.with_suffix(".yaml")
        if card_path.is_file():
            return read_card(card_path)
        return recognise(graph, str(self.path))

    def _check_hash(self) -> None:
        if self.card.sha256 not in ("", self.sha256):
            raise UserError(
                f"model {self.path} has sha256 {self.sha256[:12]}…, its card says "
                f"{self.card.sha256[:12]}…; fetch the model again, or correct the card"
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"model {path} cannot be read: {error.strerror}") from error


def _open_session(path: Path, content: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A waiting worker thread would otherwise burn a core between two frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # failures come as exceptions, once
    available = ort.get_available_providers()
    providers = [name for name in PROVIDERS if name in available]
    try:
        return ort.InferenceSession(content, options, providers=providers)
    except _LOAD_ERRORS as error:
        reason = " ".join(str(error).split(":")[-1].split()) or "unknown format"
        raise UserError(
            f"model {path} is no ONNX model this runtime can load ({reason}); "
            "fetch or export it again"
        ) from error
