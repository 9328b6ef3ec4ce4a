"""`edge-robot run`: runs a program written for rclpy, unchanged."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        add_help_option=False,
    )
    def run(
        context: typer.Context,
        program: Annotated[
            str,
            typer.Argument(metavar="FILE|MODULE", help="A Python file, or an importable module."),
        ] = "--help",
    ) -> None:
        """Run a program written for rclpy, with or without ROS 2 installed.

        Everything after the program is the program's own: `edge-robot run talker.py --ros-args -r
        chatter:=news`. `import rclpy`, `from std_msgs.msg import String` and so on give ROS 2's
        packages where they are installed, and the standalone runtime where they are not. Messages
        of your own packages are found by EDGE_ROBOT_INTERFACE_PATH.
        """
        import runpy
        import sys
        from importlib.util import find_spec
        from pathlib import Path

        from edge_robot.errors import UserError

        if program == "--help":
            typer.echo(context.get_help())
            return
        file = Path(program)
        if file.suffix == ".py" or file.is_file():
            if not file.is_file():
                raise UserError(f"there is no file {program}")
            sys.argv = [program, *context.args]
            sys.path.insert(0, str(file.resolve().parent))
            runpy.run_path(program, run_name="__main__")
            return
        sys.path.insert(0, "")
        try:
            found = find_spec(program)
        except ImportError:
            found = None
        if found is None:
            raise UserError(f"{program} is neither a file nor a module that can be imported")
        sys.argv = [program, *context.args]
        runpy.run_module(program, run_name="__main__", alter_sys=True)
