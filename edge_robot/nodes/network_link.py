"""Stands in for the radio link between robot and backend; the service `~/set_up` cuts it."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from std_srvs.srv import SetBool

from edge_robot.errors import UserError
from edge_robot.nodes.runner import run
from edge_robot.sim.radio_link import LinkQuality, RadioLink


class NetworkLink(Node):
    """Forwards TCP from a local port to the backend, as well or as badly as configured."""

    def __init__(self) -> None:
        super().__init__("network_link")
        host = self._parameter("host", "127.0.0.1", "address to listen on")
        port = self._parameter("port", 8002, "TCP port to listen on")
        target = self._parameter("target", "127.0.0.1:8001", "host:port of the backend")
        quality = LinkQuality(
            delay=self._parameter("delay", 0.0, "one way, s"),
            deviation=self._parameter("deviation", 0.0, "of the delay, heavy-tailed, s"),
            jitter=self._parameter("jitter", 0.0, "largest additional delay, s"),
            loss=self._parameter("loss", 0.0, "share of packets to be sent again, 0..<1"),
            bandwidth=self._parameter("bandwidth", 0.0, "each direction, bytes/s; 0: no limit"),
        )
        target_host, _, target_port = target.rpartition(":")
        if not target_host or not target_port.isdigit():
            raise UserError(
                f"network_link parameter target is {target!r}, not host:port; "
                "see config/network_link.yaml"
            )
        if min(astuple(quality)) < 0.0 or quality.loss >= 1.0:
            raise UserError(
                "network_link parameters delay, deviation, jitter, loss and bandwidth must not be "
                "negative, and loss be less than 1; see config/network_link.yaml"
            )
        self._link = RadioLink(host, port, target_host, int(target_port), quality)
        self.create_service(SetBool, "~/set_up", self._set_up)
        self.get_logger().info(f"{host}:{self._link.port} → {target}")

    def destroy_node(self) -> None:
        """Drop the connections, then leave the graph."""
        link = getattr(self, "_link", None)
        if link is not None:
            link.close()
        super().destroy_node()

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value

    def _set_up(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._link.set_up(request.data)
        response.success = True
        response.message = "link restored" if request.data else "link cut: nothing passes"
        self.get_logger().info(response.message)
        return response


def main() -> None:
    """Run the node."""
    run(NetworkLink)


if __name__ == "__main__":
    main()
