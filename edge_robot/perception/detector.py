"""The camera detector: one ONNX model, from an image to boxes."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.decoders import decode
from edge_robot.perception.decoders.boxes import suppress
from edge_robot.perception.detections import Detections
from edge_robot.perception.engines import open_engine
from edge_robot.perception.graph import Graph, describe
from edge_robot.perception.model_card import ModelCard, find_model, read_card
from edge_robot.perception.onnx_check import MAX_BYTES, check_graph
from edge_robot.perception.preprocessing import (
    ByteWriter,
    Placement,
    RowWriter,
    TensorWriter,
    to_tensor,
)
from edge_robot.perception.recognition import recognise


class Detector:
    """Finds objects in images with a model in one of the known layouts.

    Args:
        model: Path of an .onnx file, or the name of one in `models/`.
        min_score: Lowest score reported; the model card's threshold by default.
        threads: Threads one inference may use.
        card: What the model expects and gives; by default read from the YAML file beside it or,
            where there is none, recognised by the shapes of its tensors.
        engine: Inference runtime: `onnxruntime` or `openvino`. OpenVINO is quicker with some
            models; `edge-robot bench detector` measures both.
        provider: `tensorrt`, `cuda` or `cpu`, which then is the one in use; by default the best
            that this machine has.

    A detector may be shared by threads: they take turns.

    Attributes:
        path: The model file.
        card: Its card.
        sha256: Hash of the model file.
        engine: The inference runtime.
        provider: What it computes on, as it reports itself.

    Raises:
        UserError: the model or its card is missing, broken, or they do not fit each other, or the
            engine or provider is not there.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        min_score: float | None = None,
        threads: int = 1,
        card: ModelCard | None = None,
        engine: str = "onnxruntime",
        provider: str | None = None,
    ) -> None:
        self.path = find_model(str(model))
        content = read_model(self.path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        checked = check_graph(content, str(self.path))
        graph = describe(checked)
        self.card = card or self._find_card(graph)
        self._check_hash()
        self.card.check_fit(graph, str(self.path))
        self._engine = open_engine(
            checked, str(self.path), engine=engine, provider=provider, threads=threads
        )
        self.engine, self.provider = self._engine.name, self._engine.provider
        self.min_score = self.card.score_threshold if min_score is None else min_score
        self._writer = self._make_writer()
        self._turn = threading.Lock()

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
        with self._turn:  # the engine's memory is the same in every run
            placement = self.preprocess(image)
            return self.decode(self.infer(), placement)

    def preprocess(self, image: NDArray[np.uint8]) -> Placement:
        """Write an image into the engine's memory: the first of the three steps of `detect`.

        The steps are for those who measure them; unlike `detect`, they are for one thread alone.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise UserError(
                f"image has shape {image.shape} and type {image.dtype}; "
                "a detector needs height × width × 3 of uint8"
            )
        return self._writer.write(image)

    def infer(self) -> list[NDArray[Any]]:
        """Run the network on the image written last; the outputs stay until the next run."""
        return self._engine.run()

    def decode(self, outputs: list[NDArray[Any]], placement: Placement) -> Detections:
        """Return the boxes, in pixels of the image, that the network's outputs mean."""
        candidates = decode(outputs, self.card, self.min_score)
        kept = suppress(candidates, self.card.nms_iou)
        boxes = placement.to_raw(candidates.boxes[kept])
        # A box wholly in the filling, or outside the image, is clipped to nothing.
        visible = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
        kept, boxes = kept[visible], boxes[visible]
        scores, class_ids = candidates.scores[kept], candidates.class_ids[kept]
        return Detections(boxes, scores, class_ids, self.card.classes)

    def _make_writer(self) -> TensorWriter | RowWriter | ByteWriter:
        card, quantization = self.card, self._engine.quantization
        tensor = self._engine.bind(card.input_shape)
        if quantization is None:
            return (RowWriter if self._engine.interleaved else TensorWriter).of(card, tensor)
        # The values that a pixel of 0..255 has, normalised as the card says.
        every_value = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (1, 1, 3))
        table = quantization(to_tensor(every_value, card.mean, card.std, swap_channels=False))
        swap = card.channels == "rgb"
        return ByteWriter(
            tensor, table[0, :, 0], resize=card.resize, pad=card.pad, swap_channels=swap
        )

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


def read_model(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises:
        UserError: it cannot be read, or is larger than any model here may be.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(
                f"model {path} has {path.stat().st_size / 2**20:.0f} MiB, more than "
                f"{MAX_BYTES / 2**20:.0f}; take a smaller one"
            )
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"model {path} cannot be read: {error.strerror}") from error
