"""A robot with the policy of KubeEdge Sedna's joint inference, as its sources describe it.

`JointInference.inference` (lib/sedna/core/joint_inference/joint_inference.py) computes on the edge,
asks its hard example filter, and for a hard example calls the cloud before it returns anything:
the edge's own result waits for the cloud's. `ThresholdFilter` (lib/sedna/algorithms/
hard_example_mining) calls an example hard where the average score is below 0.5.
`ModelClient.inference` (lib/sedna/service/client.py) posts by `http_request`: a new connection, no
time-out (the one it computes is not passed on), and where the connection is refused or lost, four
more attempts 3 s apart, after which `tenacity` raises; then the frame has no result at all.
Read at github.com/kubeedge/sedna, commit 82d614b, 2026-11-26.

Here it speaks gRPC to the same backend as the others. That is kinder than its own HTTP: gRPC gives
up a connection that is not accepted within 20 s, the kernel after two minutes.
"""

from __future__ import annotations

import random
import time

import grpc
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.offload.robot import FLEET, ONBOARD, detect_onboard, frames, tell
from edge_robot.bench.offload.scene import decode, encode, frame
from edge_robot.perception.detections import Detections

ATTEMPTS = 5
PAUSE = 3.0
THRESHOLD = 0.5


def drive(endpoint: str, rate: float, seed: int) -> None:
    """Look at frames for ever, and tell of results.

    Args:
        endpoint: `host:port` of the backend.
        rate: Frames per second.
        seed: Of the scores on board: every other example is hard, on average.
    """
    score = random.Random(seed)
    for each in frames(rate):
        detections, by = detect_onboard(), ONBOARD
        if score.uniform(0.0, 2.0 * THRESHOLD) < THRESHOLD:
            answer = _ask_the_cloud(endpoint)
            if answer is None:
                continue
            detections, by = answer, FLEET
        tell(each, by, detections)


def _ask_the_cloud(endpoint: str) -> Detections | None:
    """Return the cloud's answer, whenever it comes; None where five attempts found nobody."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(endpoint, options) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            try:
                return decode(stub.ModelInfer(encode(frame())))
            except grpc.RpcError:
                continue
    return None
