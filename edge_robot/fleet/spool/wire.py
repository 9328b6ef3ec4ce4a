"""How chunks and verdicts look in the Open Inference Protocol: the tensors of the model `archive`.

A request holds n chunks, one element of each tensor per chunk; its answer has a verdict on each,
with the chunk's id and part, so that another request's answer cannot be taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb

from edge_robot.fleet import protocol, tensors
from edge_robot.fleet.spool.records import KEPT, Chunk, Verdict

MODEL = "archive"
MAX_CHUNKS = 1024
"""Chunks of one request."""

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
"""Of a robot, and of a record's id: they become names of files, so no `..`, and nothing hidden."""

TEXTS = ("id", "kind", "policy", "sha256", "data")
"""Inputs of datatype BYTES; texts in UTF-8."""
NUMBERS = ("priority", "stamp", "level", "created", "part", "parts")
"""Inputs of datatype INT64."""

KEPT_STATUS, LATER_STATUS, REFUSED_STATUS = b"kept", b"later", b"refused"


class WrongAnswerError(Exception):
    """An answer of the archive does not fit its request; the message says how."""


def request(robot: str, chunks: Sequence[Chunk], timeout: float) -> Any:
    """Return the `ModelInferRequest` that asks the archive to keep chunks.

    Args:
        robot: Whose they are.
        chunks: At most `MAX_CHUNKS`.
        timeout: Time after which the answer is not waited for any more, s.
    """
    message = pb.ModelInferRequest(model_name=MODEL)
    message.parameters[protocol.ROBOT].string_param = robot
    message.parameters[protocol.TIMEOUT].int64_param = round(timeout * 1e6)
    arrays: dict[str, NDArray[Any]] = {"robot": tensors.of_bytes([robot.encode()])}
    for name in TEXTS:
        values = [getattr(chunk, name) for chunk in chunks]
        arrays[name] = tensors.of_bytes([v.encode() if isinstance(v, str) else v for v in values])
    for name in NUMBERS:
        arrays[name] = np.array([getattr(chunk, name) for chunk in chunks], np.int64)
    tensors.add_arrays(message, arrays)
    return message


def read_chunks(inputs: Mapping[str, NDArray[Any]]) -> tuple[str, list[Chunk]]:
    """Return robot and chunks of a request whose tensors have the right names and types.

    Raises:
        ValueError: they differ in length, are too many, or a text is no UTF-8.
    """
    counts = {len(inputs[name]) for name in TEXTS + NUMBERS}
    if len(counts) != 1 or not 1 <= max(counts) <= MAX_CHUNKS:
        raise ValueError(f"inputs must have one length, from 1 to {MAX_CHUNKS}")
    robot = bytes(inputs["robot"][0]).decode()
    columns = {name: inputs[name].tolist() for name in TEXTS + NUMBERS}
    for name in ("id", "kind", "policy"):
        columns[name] = [value.decode() for value in columns[name]]
    return robot, [
        Chunk(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    ]


def answer(verdicts: Sequence[tuple[Chunk, Verdict]]) -> dict[str, NDArray[Any]]:
    """Return the tensors of the answer to a request, verdicts in its order."""
    return {
        "id": tensors.of_bytes([chunk.id.encode() for chunk, _ in verdicts]),
        "part": np.array([chunk.part for chunk, _ in verdicts], np.int64),
        "status": tensors.of_bytes([_status(verdict) for _, verdict in verdicts]),
        "reason": tensors.of_bytes([verdict.reason.encode() for _, verdict in verdicts]),
    }


def read_verdicts(response: Any, chunks: Sequence[Chunk]) -> list[Verdict]:
    """Return what a `ModelInferResponse` says of the chunks of its request, in their order.

    Raises:
        WrongAnswerError: it is not the answer to that request.
    """
    try:
        found = tensors.to_arrays(response)
        columns = [found[name].tolist() for name in ("id", "part", "status", "reason")]
        rows = list(zip(*columns, strict=True))
        verdicts = [_verdict(status, reason.decode()) for _, _, status, reason in rows]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise WrongAnswerError(f"the archive's answer is malformed: {error}") from error
    if [row[:2] for row in rows] != [(chunk.id.encode(), chunk.part) for chunk in chunks]:
        raise WrongAnswerError("the archive answered something else than was sent")
    return verdicts


def _status(verdict: Verdict) -> bytes:
    if verdict.kept:
        return KEPT_STATUS
    return REFUSED_STATUS if verdict.final else LATER_STATUS


def _verdict(status: bytes, reason: str) -> Verdict:
    if status == KEPT_STATUS:
        return KEPT
    if status not in (LATER_STATUS, REFUSED_STATUS):
        raise ValueError(f"status {status!r}")
    return Verdict(False, status == REFUSED_STATUS, reason)
