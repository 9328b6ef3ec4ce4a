"""Starts backends: which models behind which doors."""

from __future__ import annotations

from pathlib import Path

from edge_robot.fleet.backend.repository import load_detector
from edge_robot.fleet.backend.scheduler import Scheduler
from edge_robot.fleet.backend.server import Backend


def serve_detector(
    model: str,
    *,
    name: str = "",
    host: str = "127.0.0.1",
    port: int = 8001,
    threads: int = 1,
    min_score: float | None = None,
) -> Backend:
    """Load a model, warm it up, and serve it until `Backend.stop`.

    Args:
        model: Path of an .onnx file, or the name of one in `models/`.
        name: Name to serve it under; the file's if empty.
        host: Address to listen on.
        port: TCP port; 0 for any free one.
        threads: Threads one inference may use.
        min_score: Lowest score reported; the model card's by default.

    Raises:
        UserError: the model cannot be loaded, or the address not be listened on.
    """

    def load() -> Scheduler:
        served = load_detector(
            model, name or Path(model).stem, copies=1, min_score=min_score, threads=threads
        )
        return Scheduler([served], workers=1)

    return Backend(load, host=host, port=port)
