"""Serves a detector over the Open Inference Protocol, started and configured as a node."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from edge_robot.fleet.backend.serving import serve_detector
from edge_robot.nodes.runner import run


class FleetBackend(Node):
    """The backend as a process of the launch file; its work is in gRPC, not in topics."""

    def __init__(self) -> None:
        super().__init__("fleet_backend")
        model = self._parameter("model", "warehouse_fleet", ".onnx file, or name in models/")
        name = self._parameter("name", "", "name it is served under; the file's if empty")
        host = self._parameter("host", "127.0.0.1", "address to listen on")
        port = self._parameter("port", 8001, "TCP port")
        threads = self._parameter("threads", 1, "threads one inference may use")
        self._backend = serve_detector(model, name=name, host=host, port=port, threads=threads)
        self.get_logger().info(f"model {model!r} on {host}:{self._backend.port}")

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
