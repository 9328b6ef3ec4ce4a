"""Lets Triton's Python backend serve a detector of a repository, by the same code as here.

Triton imports this by the `model.py` that `repository.add` writes beside the network; `edge_robot`
must be installed where Triton runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import triton_python_backend_utils as triton  # part of Triton, found there alone

from edge_robot.errors import UserError
from edge_robot.fleet import protocol
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.fleet.backend.repository import GRAPH, load_detector


class TritonPythonModel:
    """What Triton's Python backend looks for; the methods' names are its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the detector.

        Args:
            args: Among others `model_repository`, which is the model's own folder, and
                `model_version`.
        """
        path = Path(args["model_repository"]) / args["model_version"] / GRAPH
        try:
            self._model = load_detector(path, args["model_name"], args["model_version"], copies=1)
        except UserError as error:
            raise triton.TritonModelException(str(error)) from error
        self._told = {protocol.MODEL_SHA256: self._model.sha256} if _tells() else None

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests, each by itself: a bad one is an error of its own alone."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        try:
            item = self._model.prepare(self._model.read(inputs))
        except InvalidRequestError as error:
            refusal = triton.TritonError(str(error), triton.TritonError.INVALID_ARG)
            return triton.InferenceResponse(error=refusal)
        (outputs,) = self._model.compute([item])
        tensors = [triton.Tensor(name, array) for name, array in outputs.items()]
        if self._told is None:
            return triton.InferenceResponse(tensors)
        return triton.InferenceResponse(tensors, parameters=self._told)


def _tells() -> bool:
    """Whether an answer can have parameters here: in Triton 2.51 (24.10) it could not yet."""
    try:
        triton.InferenceResponse([], parameters={})
    except TypeError:
        return False
    return True
