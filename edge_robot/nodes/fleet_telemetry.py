"""Keeps what the robot has to tell, and sends it to the fleet's archive when the link allows.

Telemetry, events, hard examples and finished recordings go into a bounded spool on the disk
(`edge_robot.fleet.spool`), each through the privacy boundary, and from there to the backend's model
`archive`, at a pace that leaves the link to others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.serialization import deserialize_message

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fleet.boundary import Boundary, Cleared, Data, Picture, Withheld
from edge_robot.fleet.privacy_policy import Kind, Level
from edge_robot.fleet.spool import wire
from edge_robot.fleet.spool.pace import LinkFigures, Pace, PaceSettings
from edge_robot.fleet.spool.payload import pack
from edge_robot.fleet.spool.records import Entry, Priority
from edge_robot.fleet.spool.sender import ArchiveConnection, Sender
from edge_robot.fleet.spool.spool import Spool
from edge_robot.fleet.spool.store import Store
from edge_robot.msg import DeadlineStatus, Event, LinkState, RobotMode
from edge_robot.nodes.conversions import nanoseconds
from edge_robot.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.fleet_parameters import ConnectionSettings, privacy_policy
from edge_robot.nodes.fleet_privacy import PrivacyReporter
from edge_robot.nodes.hard_examples import HardExamples, to_jpeg
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.telemetry_records import (
    of_deadlines,
    of_diagnostic,
    of_event,
    of_links,
    of_mode,
    of_odometry,
    state_of_links,
)
from edge_robot.settings import Settings, setting

_REMINDER = 60.0
"""Time after which a trouble that lasts is written down again, s."""
_LOOK_FOR_RECORDINGS = 10.0
"""Between two looks into the folder of recordings, s."""
_COUNT_PERIOD = 5.0
"""Between two counts of what is in the spool, s: of a full one, they take 40 ms."""
_MCAP_END = b"\x89MCAP0\r\n"
"""Last bytes of a finished MCAP file."""


@dataclass(frozen=True)
class TelemetrySettings(Settings):
    """What is kept, and where."""

    robot: str = setting("robot", "name under which the archive keeps this robot's records")
    folder: str = setting("~/.ros/edge_robot/spool", "folder of the spool")
    max_mb: int = setting(256, "most that the spool takes on the disk, MB; at least 2", ge=2)
    privacy_policy: str = setting("", "file that says what may leave; none: config/privacy.yaml")
    odometry_rate: float = setting(1.0, "poses written down a second; 0: none", ge=0.0, le=100.0)
    deadlines: bool = setting(True, "write down how each stage keeps its budget, once a second")
    hard_examples: bool = setting(True, "keep frames in which the fleet contradicted the robot")
    disagreement: float = setting(
        1.0, "from which a frame is a hard example, summed scores", ge=0.01, le=1000.0, live=True
    )
    jpeg_quality: int = setting(85, "of hard examples", ge=1, le=100, live=True)
    recordings: str = setting("", "folder whose finished .mcap files are sent too; none: none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not wire.NAME.fullmatch(self.robot):
            raise UserError(f"robot is {self.robot!r}; give a name of letters, digits, . _ -")


class FleetTelemetry(ManagedNode):
    """Hears topics, puts what they say into the spool, and lets it be sent."""

    def __init__(self) -> None:
        super().__init__("fleet_telemetry")
        self._settings = self.settings(TelemetrySettings())
        self._archive = self.settings(ConnectionSettings("127.0.0.1:8001"), "archive.")
        self._pace_settings = self.settings(PaceSettings())

    def configure(self) -> None:
        """Read the policy, certificates and token."""
        self._boundary = Boundary(privacy_policy(self._settings.value.privacy_policy))
        try:
            self._endpoint = self._archive.value.endpoint("archive")
        except UserError as error:
            raise UserError(f"archive.*: {error}") from error
        self._tier = self._endpoint.tier

    def activate(self) -> None:
        """Open the spool, send from it, and listen.

        Raises:
            UserError: the spool cannot be used.
        """
        settings, endpoint = self._settings.value, self._endpoint
        self._pace = Pace(self._pace_settings.value)
        self._connection = ArchiveConnection(endpoint.address, endpoint.credentials)
        folder = Path(settings.folder).expanduser()
        self._store = Store(folder, settings.max_mb << 20, self._warn)
        self._sender = Sender(
            self._store, self._connection, settings.robot, self._boundary, self._tier, self._pace
        )
        self._spool = Spool(self._store, self._sender, self._warn)
        self._links: tuple[Any, ...] | None = None
        self._mode: int | None = None
        self._troubles: dict[str, tuple[bytes, str, float]] = {}
        self._odometry: bytes | None = None
        self._handed_over: set[str] = set()
        self._status = self._store.status()
        self._counted, self._dropping = steady_seconds(), False
        self._listen(settings)
        kinds = (Kind.TELEMETRY, Kind.EVENT, Kind.HARD_EXAMPLE, Kind.RECORDING)
        self._privacy = PrivacyReporter(self, self._boundary, (self._tier,), kinds)
        self._diagnostics = DiagnosticsReporter(self, self._health)
        self.get_logger().info(f"spool {folder}, for {endpoint.address} ({self._tier.value})")

    def reconfigure(self) -> None:
        """Send at the new pace, and judge examples anew."""
        if self.is_active:
            self._pace.settings = self._pace_settings.value
            if self._examples is not None:
                self._examples.least = self._settings.value.disagreement

    def deactivate(self) -> None:
        """Write down what was heard.

        Raises:
            UserError: the disk does not take it.
        """
        self._spool.close()
        self._connection.close()

    def _listen(self, settings: TelemetrySettings) -> None:
        for topic, kind, callback in (
            (topics.EVENTS, Event, self._on_event),
            (topics.MODE, RobotMode, self._on_mode),
            (topics.LINK, LinkState, self._on_links),
            (topics.DIAGNOSTICS, DiagnosticArray, self._on_diagnostics),
        ):
            self.create_subscription(kind, topic.name, callback, qos_profile(topic))
        if settings.deadlines:
            self.create_subscription(
                DeadlineStatus,
                topics.DEADLINES.name,
                self._on_deadlines,
                qos_profile(topics.DEADLINES),
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.2, self._spool.raise_if_failed, clock=steady)
        if settings.odometry_rate:
            newest = qos_profile(topics.ODOM)
            newest.depth = 1
            self.create_subscription(
                Odometry, topics.ODOM.name, self._on_odometry, newest, raw=True
            )
            self.create_timer(1.0 / settings.odometry_rate, self._note_odometry, clock=steady)
        self._examples = (
            HardExamples(self, settings.disagreement, self._on_example)
            if settings.hard_examples
            else None
        )
        if settings.recordings:
            self.create_timer(_LOOK_FOR_RECORDINGS, self._find_recordings, clock=steady)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=5.0)

    def _put(
        self,
        kind: Kind,
        what: str,
        priority: Priority,
        stamp: int,
        values: dict[str, Any],
        once: str = "",
    ) -> None:
        """Put what the robot says of itself into the spool, if it may leave at all."""
        content = Data(pack(values), Level.METADATA)
        self._keep(
            kind, what, priority, stamp, self._boundary.clear(kind, content, self._tier), once
        )

    def _keep(
        self,
        kind: Kind,
        what: str,
        priority: Priority,
        stamp: int,
        cleared: Cleared[bytes] | Withheld,
        once: str = "",
    ) -> None:
        if isinstance(cleared, Cleared):
            self._spool.put(
                Entry(
                    f"{kind.value}/{what}",
                    priority,
                    stamp,
                    cleared.value,
                    cleared.level,
                    cleared.policy,
                    once,
                )
            )

    def _on_event(self, event: Event) -> None:
        # The newest are heard again after a restart.
        stamp = nanoseconds(event.header.stamp)
        heard = f"{stamp} {event.name} {event.detail}".encode()
        key = hashlib.sha256(heard).hexdigest()
        self._put(Kind.EVENT, "event", Priority.EVENT, stamp, of_event(event), key)

    def _on_mode(self, mode: RobotMode) -> None:
        if mode.mode != self._mode:
            self._mode = mode.mode
            stamp = nanoseconds(mode.header.stamp)
            self._put(Kind.EVENT, "mode", Priority.EVENT, stamp, of_mode(mode))

    def _on_links(self, link: LinkState) -> None:
        outstanding = link.offered - link.answered - link.late - link.failed
        figures = LinkFigures(link.up, link.rtt_p50, link.bandwidth, outstanding)
        self._pace.heard(figures, steady_seconds())
        state = state_of_links(link)
        if state != self._links:
            self._links = state
            stamp = nanoseconds(link.header.stamp)
            self._put(Kind.EVENT, "link", Priority.EVENT, stamp, of_links(link))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Write down troubles when they begin, change and end, and now and then between."""
        now = steady_seconds()
        for status in message.status:
            level, text, told = self._troubles.get(status.name, (DiagnosticStatus.OK, "", now))
            if (status.level, status.message) == (level, text):
                if level == DiagnosticStatus.OK or now - told < _REMINDER:
                    continue
            elif status.level == level == DiagnosticStatus.OK:
                continue
            self._troubles[status.name] = status.level, status.message, now
            stamp = nanoseconds(message.header.stamp)
            values = of_diagnostic(status)
            self._put(Kind.TELEMETRY, "diagnostics", Priority.TELEMETRY, stamp, values)

    def _on_deadlines(self, status: DeadlineStatus) -> None:
        stamp = nanoseconds(status.header.stamp)
        self._put(Kind.TELEMETRY, "deadlines", Priority.TELEMETRY, stamp, of_deadlines(status))

    def _on_odometry(self, data: bytes) -> None:
        self._odometry = data

    def _note_odometry(self) -> None:
        data, self._odometry = self._odometry, None
        if data is not None:
            odometry = deserialize_message(data, Odometry)
            stamp = nanoseconds(odometry.header.stamp)
            values = of_odometry(odometry)
            self._put(Kind.TELEMETRY, "odometry", Priority.TELEMETRY, stamp, values)

    def _on_example(self, stamp: int, picture: Picture, results: dict[str, Any]) -> None:
        cleared = self._boundary.clear(Kind.HARD_EXAMPLE, picture, self._tier)
        if isinstance(cleared, Withheld):
            # The picture must stay; what was found in it may still leave.
            content = Data(pack({**results, "picture": cleared.reason}), Level.FEATURES)
            self._keep(
                Kind.HARD_EXAMPLE,
                "results",
                Priority.HARD_EXAMPLE,
                stamp,
                self._boundary.clear(Kind.HARD_EXAMPLE, content, self._tier),
            )
            return
        payload = pack(results, to_jpeg(cleared.value, self._settings.value.jpeg_quality))
        example = Data(payload, cleared.level, cleared.policy)
        self._keep(
            Kind.HARD_EXAMPLE,
            "frame",
            Priority.HARD_EXAMPLE,
            stamp,
            self._boundary.clear(Kind.HARD_EXAMPLE, example, self._tier),
        )

    def _find_recordings(self) -> None:
        folder = Path(self._settings.value.recordings).expanduser()
        for path in sorted(folder.glob("*.mcap")):
            facts = path.stat()
            key = f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"
            if key in self._handed_over or not _is_finished(path):
                continue
            self._handed_over.add(key)
            cleared = self._boundary.clear(Kind.RECORDING, Data(path, Level.RAW), self._tier)
            if isinstance(cleared, Withheld):
                self._warn(f"{path} stays on the robot: {cleared.reason}")
                continue
            entry = Entry(
                f"{Kind.RECORDING.value}/{re.sub(r'[^0-9A-Za-z._-]', '_', path.name)}",
                Priority.RECORDING,
                facts.st_mtime_ns,
                b"",
                cleared.level,
                "",
                key,
            )
            self._spool.put_file(entry, cleared.value)

    def _health(self) -> Iterable[Status]:
        now = steady_seconds()
        if now - self._counted >= _COUNT_PERIOD:
            self._counted, before = now, self._status
            self._status = self._store.status()
            self._dropping = self._status.dropped != before.dropped
        status = self._status
        level, text = OK, self._sender.state
        if status.disk_full:
            level, text = ERROR, "the disk is full"
        elif self._dropping:
            level, text = WARN, f"full: the oldest of the lowest priority is dropped; {text}"
        elif status.refused:
            level, text = WARN, f"{status.refused} chunks cannot be sent; {text}"
        yield Status(
            "spool",
            level,
            text,
            {
                "on disk (MB)": status.disk_bytes / 2**20,
                "bound (MB)": status.max_bytes / 2**20,
                **{
                    f"waiting: {Priority(priority).name.lower()}": count
                    for priority, count in status.waiting.items()
                },
                "archived": self._sender.archived,
                "refused": status.refused,
                **{f"dropped: {kind}": count for kind, count in status.dropped.items()},
            },
        )
        yield from self._privacy.health()


def _is_finished(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_MCAP_END)))
        return file.read() == _MCAP_END


def main() -> None:
    """Run the node."""
    run(FleetTelemetry)


if __name__ == "__main__":
    main()
