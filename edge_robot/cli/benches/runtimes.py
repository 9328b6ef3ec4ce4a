"""`edge-robot bench transport|idle|all`: the runtime, beside ROS 2 where one is sourced."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress

Rounds = Annotated[int, typer.Option(min=1, help="Turns of each runtime.")]
PeerPython = Annotated[
    str | None,
    typer.Option(
        metavar="PYTHON",
        help="Interpreter of the ROS 2 to compare with. (default: python3 if one is sourced)",
    ),
]


def register(bench: typer.Typer) -> None:
    """Add the commands."""

    @bench.command()
    def transport(
        file: JsonFile = None,
        only: Annotated[str, typer.Option(help="Only what has this in its name.")] = "",
        rounds: Rounds = 3,
        peer_python: PeerPython = None,
        as_json: AsJson = False,
    ) -> None:
        """Images, clouds, services, start-up and discovery over DDS.

        Beside rclpy with rmw_cyclonedds where a ROS 2 is sourced in this shell.
        """
        from edge_robot.bench import transport as transport_bench

        output = Output(as_json, file)
        output.add(
            transport_bench.measure(
                rounds=rounds, peer_python=peer_python, only=only, progress=progress
            )
        )
        output.finish()

    @bench.command()
    def idle(
        file: JsonFile = None,
        rounds: Rounds = 3,
        peer_python: PeerPython = None,
        as_json: AsJson = False,
    ) -> None:
        """The cost of a node that publishes 100 times a second.

        Beside rclpy with rmw_cyclonedds where a ROS 2 is sourced in this shell.
        """
        from edge_robot.bench import idle as idle_bench

        output = Output(as_json, file)
        output.add(idle_bench.measure(rounds=rounds, peer_python=peer_python, progress=progress))
        output.finish()

    @bench.command("all")
    def everything(file: JsonFile = None, as_json: AsJson = False) -> None:
        """Transport, idle, detector and lidar, each as it is without options."""
        from edge_robot.bench import idle, lidar, transport
        from edge_robot.bench.detector import measurement as detector

        output = Output(as_json, file)
        output.add(transport.measure(progress=progress))
        output.add(idle.measure(progress=progress))
        output.add({"detector": detector.measure(["warehouse_edge"], progress=progress)})
        output.add({"lidar": lidar.measure(None, progress)})
        output.finish()
