"""`edge-robot bag`: records topics into a bag, plays it, and says what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli import bag_play, bag_record
from edge_robot.cli.options import group


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("bag", "Record and play topics (MCAP), as `ros2 bag` does.")
    app.add_typer(commands)
    bag_record.register(commands)
    bag_play.register(commands)
    commands.command()(info)


def info(
    bag_path: Annotated[
        Path, typer.Argument(metavar="BAG", help="Folder, .mcap or .db3 file of a bag.")
    ],
    topic_name: Annotated[
        bool, typer.Option("--topic-name", "-t", help="Only print the names of its topics.")
    ] = False,
) -> None:
    """Say what is in a bag: edge-robot bag info drive."""
    from edge_robot.introspection.bag_text import bag_text, is_service_event
    from edge_robot.recording.bag_reader import Bag

    bag = Bag(bag_path)
    if topic_name:
        for topic in bag.topics:
            if not is_service_event(topic):
                print(topic.name)
        return
    print(
        bag_text(
            files=bag.files,
            size=bag.size,
            storage=bag.storage,
            distro=bag.distro,
            start=bag.start,
            duration=bag.duration,
            topics=bag.topics,
        )
    )
