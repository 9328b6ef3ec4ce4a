"""A robot with the policy of LeRobot's asynchronous inference, as its sources describe it.

`RobotClient.control_loop` (src/lerobot/async_inference/robot_client.py) performs in every period
the next action of its queue, if there is one; when the queue holds no more than
`chunk_size_threshold` (0.5) of a chunk, it sends an observation in the same thread, by a call
without deadline. What comes back is a chunk of actions for the periods to come, which replaces the
queue but for the actions already performed (`_aggregate_action_queues`). There is no fallback on
board: with an empty queue nothing is performed. Retries are gRPC's
(`grpc_channel_options` in src/lerobot/transport/utils.py): five attempts where a call is
`UNAVAILABLE`, from one period up to 2 s apart.
Read at github.com/huggingface/lerobot, commit 0116756, 2026-11-26. A chunk has 50 actions, as in
its documentation.

Here sending an observation and receiving its chunk are one call to the same backend as the others
use: the loop is held up by 10 ms of inference more than there, once in 25 periods. Actions are
performed at their time, where the original sleeps between them and drifts.
"""

from __future__ import annotations

import json
from collections import deque

import grpc
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.offload.robot import FLEET, frames, tell
from edge_robot.bench.offload.scene import decode, encode, frame
from edge_robot.perception.detections import Detections

CHUNK = 50
THRESHOLD = 0.5


def drive(endpoint: str, rate: float) -> None:
    """Perform actions for ever, and tell of each as the result of its period.

    Args:
        endpoint: `host:port` of the backend.
        rate: Periods per second.
    """
    queue: deque[tuple[float, Detections]] = deque()  # observed when, and what followed from it
    image = frame()
    with grpc.insecure_channel(endpoint, _options(1.0 / rate)) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        for each in frames(rate):
            if queue:
                observed, detections = queue.popleft()
                tell(each, FLEET, detections, observed)
            if len(queue) > THRESHOLD * CHUNK:
                continue
            try:
                answer = decode(stub.ModelInfer(encode(image)))
            except grpc.RpcError:
                continue
            # Of the chunk, the first action is for the period of the observation, gone by now.
            queue = deque([(each.captured, answer)] * (CHUNK - 1))


def _options(period: float) -> list[tuple[str, object]]:
    retries = {
        "maxAttempts": 5,
        "initialBackoff": f"{period:.4f}s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED"],
    }
    config = {"methodConfig": [{"name": [{}], "retryPolicy": retries}]}
    return [("grpc.enable_retries", 1), ("grpc.service_config", json.dumps(config))]
