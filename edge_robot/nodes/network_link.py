"""Stands in for the radio link between robot and backend; the service `~/set_up` cuts it."""

from __future__ import annotations

from std_srvs.srv import SetBool

from edge_robot.errors import UserError
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.runner import run
from edge_robot.nodes.urgency import Urgency
from edge_robot.sim.radio_link import LinkQuality, RadioLink


class NetworkLink(ManagedNode):
    """Forwards TCP from a local port to the backend, as well or as badly as configured."""

    def __init__(self) -> None:
        super().__init__("network_link")
        self._host = self.parameter("host", "127.0.0.1", "address to listen on")
        self._port = self.parameter("port", 8002, "TCP port to listen on; 0: any", ge=0, le=65535)
        self._target = self.parameter("target", "127.0.0.1:8001", "host:port of the backend")
        self._quality = self.settings(LinkQuality())

    def configure(self) -> None:
        """Begin to forward.

        Raises:
            UserError: the target is none, or the port is taken.
        """
        host, target = self._host.value, self._target.value
        target_host, _, target_port = target.rpartition(":")
        if not target_host or not target_port.isdigit():
            raise UserError(
                f"network_link parameter target is {target!r}, not host:port; "
                "see config/network_link.yaml"
            )
        port, quality = self._port.value, self._quality.value
        self._link = RadioLink(host, port, target_host, int(target_port), quality)
        self.get_logger().info(f"{host}:{self._link.port} → {target}")

    def activate(self) -> None:
        """Let the link be cut."""
        self.create_service(SetBool, "~/set_up", self._set_up)

    def reconfigure(self) -> None:
        """Become another link."""
        self._link.set_quality(self._quality.value)

    def cleanup(self) -> None:
        """Drop the connections."""
        self._link.close()

    def _set_up(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._link.set_up(request.data)
        response.success = True
        response.message = "link restored" if request.data else "link cut: nothing passes"
        self.get_logger().info(response.message)
        return response


def main() -> None:
    """Run the node."""
    run(NetworkLink, Urgency.SENSING)  # it stands for the air, which no load delays


if __name__ == "__main__":
    main()
