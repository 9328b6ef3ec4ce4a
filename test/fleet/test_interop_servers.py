"""The bridge's engine, as it is, against servers of the Open Inference Protocol by other people.

Our own backend is always asked. Others only where these variables say where they are:

- EDGE_ROBOT_MLSERVER_PYTHON: a Python with `mlserver` and this package's requirements;
- EDGE_ROBOT_TRITON: a `tritonserver` command in whose Python this package can be imported;
- EDGE_ROBOT_OIP_SERVER: `host:port` of any that runs and serves `warehouse_edge` (see
  docs/deployment.md).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import tritonclient.grpc as triton
from lamp import wait_for

from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.backend import repository
from edge_robot.fleet.backend.serving import Models, ServerSettings, embedded, serve
from edge_robot.fleet.boundary import Boundary, Picture
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.offload import OffloadEngine, Settings, Status
from edge_robot.fleet.privacy_policy import Kind, PrivacyPolicy, Tier
from edge_robot.fleet.tasks.detect import encode_frame
from edge_robot.fleet.work import Answer, Encoded, NoAnswer, Reason, Task
from edge_robot.perception.catalogue import trial_image
from edge_robot.perception.detector import Detector

MODEL = "warehouse_edge"
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def process(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """A server started by a command; its address once it serves the model."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, stdout=log, stderr=log
        )
        try:
            client = triton.InferenceServerClient(f"127.0.0.1:{port}")

            def ready() -> bool:
                assert server.poll() is None, (folder / "log").read_text()
                try:
                    return bool(client.is_model_ready(MODEL))
                except triton.InferenceServerException:
                    return False

            wait_for(ready, f"{command[0]} to serve", 60.0)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30.0)


@contextmanager
def ours(folder: Path) -> Iterator[str]:
    server = serve(embedded(Models((MODEL,)), 1), replace(ServerSettings(), port=0))
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.stop()


@contextmanager
def mlserver(folder: Path) -> Iterator[str]:
    python = os.environ.get("EDGE_ROBOT_MLSERVER_PYTHON")
    if not python:
        pytest.skip("EDGE_ROBOT_MLSERVER_PYTHON names no Python with mlserver")
    shutil.copytree(ROOT / "deploy" / "mlserver", folder, dirs_exist_ok=True)
    settings = json.loads((folder / "settings.json").read_text())
    ports = {name: free_port() for name in ("grpc_port", "http_port", "metrics_port")}
    (folder / "settings.json").write_text(json.dumps(settings | ports | {"host": "127.0.0.1"}))
    model = json.loads((folder / "model-settings.json").read_text())
    model["name"] = model["parameters"]["uri"] = MODEL
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = [str(Path(python).with_name("mlserver")), "start", "."]
    with process(command, ports["grpc_port"], folder) as address:
        yield address


@contextmanager
def triton_server(folder: Path) -> Iterator[str]:
    command = os.environ.get("EDGE_ROBOT_TRITON")
    if not command:
        pytest.skip("EDGE_ROBOT_TRITON names no tritonserver")
    repository.add(folder / "models", MODEL)
    port = free_port()
    options = [f"--model-repository={folder / 'models'}", f"--grpc-port={port}"]
    off = ["--allow-http=false", "--allow-metrics=false"]
    with process([command, *options, *off], port, folder) as address:
        yield address


@contextmanager
def running(folder: Path) -> Iterator[str]:
    address = os.environ.get("EDGE_ROBOT_OIP_SERVER")
    if not address:
        pytest.skip("EDGE_ROBOT_OIP_SERVER names no server that runs")
    yield address


class Bridge:
    """The engine with one endpoint."""

    def __init__(self, address: str) -> None:
        self.status: Status | None = None
        self._engine = OffloadEngine([Endpoint("", address)], Settings(), self._heard)

    def __enter__(self) -> Bridge:
        self._engine.start()
        wait_for(lambda: self.status is not None and self.status.links[0].up, "the link")
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def _heard(self, status: Status) -> None:
        self.status = status

    def ask(self, encode: Any) -> Answer[Any] | NoAnswer:
        """What a server makes of a piece of work; its time is so long that only that decides.

        What was not sent is offered again: on a busy machine the link is down for a moment.
        """
        task = Task("detect", encode, deadline=5.0, expiry=5.0)
        cleared = Boundary(PrivacyPolicy()).clear(Kind.DETECT, Picture(image(), None), Tier.FOG)
        end = time.monotonic() + 20.0
        while True:
            outcomes: list[Answer[Any] | NoAnswer] = []
            self._engine.offer(task, {Tier.FOG: cleared}, None, 0.0, outcomes.append)
            wait_for(lambda seen=outcomes: bool(seen), "an outcome")
            (outcome,) = outcomes
            unsent = (Reason.LINK_DOWN, Reason.BREAKER_OPEN)
            if isinstance(outcome, Answer) or outcome.reason not in unsent:
                return outcome
            assert time.monotonic() < end, outcome
            time.sleep(0.1)


def image() -> Any:
    return cv2.imread(str(trial_image()))


def detect_with(model: str) -> Any:
    return lambda cleared, encoding: encode_frame(cleared, model, 0.3, encoding)


def damaged(cleared: Any, encoding: Encoding) -> Encoded[Any]:
    """A request whose image is none."""
    sound = encode_frame(cleared, MODEL, 0.3, encoding)
    raw = sound.request.raw_input_contents
    raw[0] = raw[0][:4] + b"x" * (len(raw[0]) - 4)
    return sound


@pytest.mark.parametrize("server", [ours, mlserver, triton_server, running])
def test_the_bridge_works_with(server: Any, tmp_path: Path) -> None:
    with server(tmp_path) as address, Bridge(address) as bridge:
        answers = [bridge.ask(detect_with(MODEL)) for _ in range(10)]
        for answer in answers:
            assert isinstance(answer, Answer), answer
            assert answer.computed_by == address
            assert answer.model.startswith(f"{MODEL}@")
            assert answer.model_sha256 in ("", Detector(MODEL).sha256)
        assert isinstance(answers[0], Answer)
        there = answers[0].value.found
        here = Detector(MODEL, min_score=0.3).detect(image())
        assert there.class_names == here.class_names
        assert abs(len(there) - len(here)) <= 2  # JPEG on the way

        missed = bridge.ask(detect_with("nope"))
        assert isinstance(missed, NoAnswer)
        assert missed.reason is Reason.REFUSED, missed
        missed = bridge.ask(damaged)
        assert isinstance(missed, NoAnswer)
        assert missed.reason in (Reason.REFUSED, Reason.ERROR), missed
