"""Serves a detector over the Open Inference Protocol, started and configured as a node."""

from __future__ import annotations

from edge_robot.fleet.backend.serving import Models, ServerSettings, embedded, serve
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.runner import run
from edge_robot.nodes.urgency import Urgency


class FleetBackend(ManagedNode):
    """The backend as a process of the launch file; its work is in gRPC, not in topics."""

    def __init__(self) -> None:
        super().__init__("fleet_backend")
        self._model = self.parameter("model", "warehouse_fleet", ".onnx file, or name in models/")
        self._name = self.parameter("name", "", "name it is served under; the file's if empty")
        self._threads = self.parameter("threads", 1, "threads one inference may use", ge=1, le=256)
        self._runtime = self.parameter(
            "runtime", "onnxruntime", "it runs on", one_of=("onnxruntime", "openvino")
        )
        self._planner = self.parameter("planner", True, "plan paths over maps as well")
        self._archive = self.parameter("archive", "", "folder for what robots spool; none if empty")
        self._server = self.settings(ServerSettings())

    def activate(self) -> None:
        """Load the models, and serve.

        Raises:
            UserError: a model cannot be used, or the port is taken.
        """
        settings = self._server.value
        models = Models(
            (self._model.value,),
            self._name.value,
            planner=self._planner.value,
            archive=self._archive.value,
            runtime=self._runtime.value,
            threads=self._threads.value,
        )
        self._backend = serve(embedded(models, workers=1), settings)
        self.get_logger().info(
            f"model {self._backend.models[0].name!r} on {settings.host}:{self._backend.port}"
        )

    def deactivate(self) -> None:
        """Stop the server."""
        self._backend.stop()


def main() -> None:
    """Run the node."""
    run(FleetBackend, Urgency.PROMPT)


if __name__ == "__main__":
    main()
