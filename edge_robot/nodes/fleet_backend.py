"""Serves a detector over the Open Inference Protocol, started and configured as a node."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from edge_robot.fleet.backend.serving import Models, ServerSettings, embedded, serve
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.runner import run


class FleetBackend(Node):
    """The backend as a process of the launch file; its work is in gRPC, not in topics."""

    def __init__(self) -> None:
        super().__init__("fleet_backend")
        model = self._parameter("model", "warehouse_fleet", ".onnx file, or name in models/")
        name = self._parameter("name", "", "name it is served under; the file's if empty")
        threads = self._parameter("threads", 1, "threads one inference may use")
        runtime = self._parameter("runtime", "onnxruntime", "it runs on: onnxruntime or openvino")
        planner = self._parameter("planner", True, "plan paths over maps as well")
        archive = self._parameter("archive", "", "folder for what robots spool; none if empty")
        settings = declare_settings(self, ServerSettings())
        models = Models(
            (model,), name, planner=planner, archive=archive, runtime=runtime, threads=threads
        )
        self._backend = serve(embedded(models, workers=1), settings)
        self.get_logger().info(
            f"model {self._backend.models[0].name!r} on {settings.host}:{self._backend.port}"
        )

    def destroy_node(self) -> None:
        """Stop the server, then leave the graph."""
        backend = getattr(self, "_backend", None)
        if backend is not None:
            backend.stop()
        super().destroy_node()

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value


def main() -> None:
    """Run the node."""
    run(FleetBackend)


if __name__ == "__main__":
    main()
