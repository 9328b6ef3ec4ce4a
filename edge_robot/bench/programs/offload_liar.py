"""A backend that tells the truth once, then lies twice, and so on; prints its port.

Two failures in a row are what the engine's breaker bears. Each answer says in the parameter `lie`
which it is, so that one that is believed can be named.
"""

from __future__ import annotations

import itertools
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.offload.lies import lies, truth


class Liar(pb_grpc.GRPCInferenceServiceServicer):
    """Answers the calls of the protocol; the names are the protocol's."""

    def __init__(self) -> None:
        self._turns = itertools.count()
        self._lies = itertools.cycle(lies().items())

    def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: D102
        return pb.ServerLiveResponse(live=True)

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: D102
        if next(self._turns) % 3 == 0:
            return truth(request)
        name, lie = next(self._lies)
        answer = lie(request, context)
        answer.parameters["lie"].string_param = name
        return answer


def main() -> None:
    """Serve until the bench closes the pipe, or is gone itself."""
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(Liar(), server)
    print(json.dumps({"port": server.add_insecure_port("127.0.0.1:0")}), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(grace=None)


if __name__ == "__main__":
    main()
