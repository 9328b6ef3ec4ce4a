"""One camera image through the onboard detector, and the same model through OpenCV."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import cv2

from edge_robot.bench.figures import timed
from edge_robot.perception.detector import Detector
from edge_robot.sim.camera import Camera
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.world import build_world

WIDTH, HEIGHT = 480, 360


def measure(model: str, runs: int = 200) -> dict[str, Any]:
    """Return the time from BGR pixels to boxes on one thread, on a rendered image.

    The peer is OpenCV's dnn module with the same model and input size: inference only, without
    decoding, where OpenCV can read the model.
    """
    world = build_world(Scenario.generate(seed=1))
    with closing(Camera(world, WIDTH, HEIGHT)) as camera:
        image = cv2.cvtColor(camera.render(world.data), cv2.COLOR_RGB2BGR)
    detector = Detector(model, threads=1)
    result: dict[str, Any] = {
        "model": model,
        "sha256": detector.sha256,
        "provider": detector.provider,
        "end_to_end": timed(lambda: detector.detect(image), runs),
    }
    cv2.setNumThreads(1)
    try:
        peer = cv2.dnn.readNetFromONNX(str(detector.path))
        blob = cv2.dnn.blobFromImage(image, size=(detector.card.width, detector.card.height))

        def infer() -> None:
            peer.setInput(blob)
            peer.forward()

        result["peers"] = {"opencv_dnn_inference": timed(infer, runs)}
    except cv2.error as error:
        result["peers"] = {"opencv_dnn_inference": f"cannot run this model: {error.err.strip()}"}
    return result
