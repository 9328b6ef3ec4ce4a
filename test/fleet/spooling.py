"""Spools and archives for tests, without a network between them."""

from __future__ import annotations

from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import tensors
from edge_robot.fleet.backend.archive import Archive
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.fleet.client import RequestError
from edge_robot.fleet.spool.records import Entry, Priority

MIB = 1 << 20


def telemetry(number: int, size: int = 200) -> Entry:
    return Entry("telemetry/odometry", Priority.TELEMETRY, number, b"%d" % number + bytes(size))


def event(number: int) -> Entry:
    return Entry("event/mode", Priority.EVENT, number, b"%d" % number)


class Direct:
    """A connection to an archive in this process; `fail` says what goes wrong instead."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.fail: Any = None
        self.requests = 0

    def infer(self, request: Any, timeout: float) -> Any:
        self.requests += 1
        if self.fail is not None:
            self.fail(request)
        try:
            item = self.archive.prepare(self.archive.read(tensors.to_arrays(request)))
            (outputs,) = self.archive.compute([item])
        except InvalidRequestError as error:
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        assert not isinstance(outputs, InvalidRequestError)
        response = pb.ModelInferResponse()
        tensors.add_arrays(response, outputs)
        return response

    def cancel(self) -> None:
        pass
