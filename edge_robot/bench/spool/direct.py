"""An archive reached without a network, by the wire's form all the same."""

from __future__ import annotations

from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import tensors
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.fleet.client import RequestError


class Direct:
    """A connection to an archive in this process, for `edge_robot.fleet.spool.sender.Sender`.

    Args:
        archive: Answers.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive

    def infer(self, request: Any, timeout: float) -> Any:
        """Return the archive's answer to a `ModelInferRequest`.

        Raises:
            RequestError: it refuses the request as a whole.
        """
        try:
            item = self.archive.prepare(self.archive.read(tensors.to_arrays(request)))
        except (InvalidRequestError, tensors.TensorError) as error:
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        (outputs,) = self.archive.compute([item])
        assert not isinstance(outputs, InvalidRequestError)
        response = pb.ModelInferResponse()
        tensors.add_arrays(response, outputs)
        return response

    def cancel(self) -> None:
        """Nothing is ever outstanding."""
