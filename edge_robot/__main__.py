"""`python -m edge_robot`: the same as the `edge-robot` command."""

from edge_robot.cli.main import main

main()
