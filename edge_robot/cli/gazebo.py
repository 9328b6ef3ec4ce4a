"""`edge-robot gazebo`: the scenarios in Gazebo."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli.options import group
from edge_robot.errors import UserError

Seed = Annotated[int, typer.Option(min=0, help="Seed of warehouse, people, drive.")]
Pace = Annotated[
    float, typer.Option(min=0.01, max=1.0, help="Real-time factor that Gazebo keeps, if it can.")
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The world file.")]

DEFAULT_OUTPUT = Path("warehouse.sdf")


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("gazebo", "The simulated warehouses in Gazebo Harmonic (gz-sim 8).")
    app.add_typer(commands)
    commands.command()(world)
    commands.command()(serve)
    commands.command()(pace)


def world(seed: Seed = 1, pace: Pace = 1.0, output: Output = DEFAULT_OUTPUT) -> None:
    """Write the warehouse of a seed as a world file: edge-robot gazebo world --seed 7.

    The robot and the people are in it. It needs no other file, and nothing is downloaded for it.
    """
    _write(seed, pace, output)
    print(output)


def serve(
    seed: Seed = 1,
    pace: Pace = 1.0,
    output: Output = DEFAULT_OUTPUT,
    headless: Annotated[
        bool, typer.Option(help="Without Gazebo's window, and without a display.")
    ] = False,
) -> None:
    """Write the warehouse of a seed, and run Gazebo in it: edge-robot gazebo serve --headless.

    The robot stands until something drives it: `ros2 launch edge_robot gazebo.launch.xml` does all.
    """
    program = shutil.which("gz")
    if program is None:
        raise UserError(
            "Gazebo's command `gz` is not found; install Gazebo Harmonic, or source its setup file"
        )
    from edge_robot.nodes.urgency import Urgency, claim_priority
    from edge_robot.sim.gazebo.pace import suited_here

    _write(seed, pace, output)
    suited = suited_here()
    print(f"pace {pace:g}; to this machine {suited.pace:g} is suited: {suited.reason}")
    mode = []
    if headless:  # a window would go before the robot, too
        mode = ["-s", "--headless-rendering"]
        print(f"scheduled with {claim_priority(Urgency.PROMPT)}")
    sys.stdout.flush()
    # In the place of this process: signals reach Gazebo itself.
    os.execv(program, [program, "sim", "-r", *mode, str(output)])


def pace() -> None:
    """Print the pace that suits this machine, and why: edge-robot gazebo pace.

    gazebo.launch.xml asks Gazebo for it unless told otherwise.
    """
    from edge_robot.sim.gazebo.pace import suited_here

    suited = suited_here()
    print(suited.reason, file=sys.stderr)
    print(suited.pace, end="")  # launch would take the end of the line for a part of it


def _write(seed: int, pace: float, output: Path) -> None:
    from edge_robot.sim.gazebo.world import world_sdf
    from edge_robot.sim.scenario import Scenario

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(world_sdf(Scenario.generate(seed), pace))
    except OSError as error:
        raise UserError(
            f"cannot write the world to {output}: {error.strerror}; give another file with --output"
        ) from error
