"""A robot that says what a test wants, behind the real dashboard: server, access and channels."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_robot.control.commands import Velocity
from edge_robot.teleop.access import Access, people_of
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.control_channel import ControlChannel
from edge_robot.teleop.helm import HelmSettings
from edge_robot.teleop.server import DashboardServer, ServerSettings
from edge_robot.teleop.video import Frame
from edge_robot.teleop.view_channel import Section, Sheet, ViewChannel
from edge_robot.teleop.watchdog import SpeedSettings, WatchdogSettings
from edge_robot.token_file import digest

SCRIPT = "<img src=x onerror=document.body.dataset.hit=1>"
"""What a careless page would run, or at least fetch."""

TOKENS = {name: f"token of {name}, long enough" for name in ("ada", "bert", "chief", "guest")}
ROLES = {"ada": "drive", "bert": "drive", "chief": "admin", "guest": "view"}

PATIENT = HelmSettings(
    watchdog=WatchdogSettings(input_max_age=2.0, input_silence=1.0, input_loss=2.0),
    speed=SpeedSettings(blind_distance=5.0),
)
"""What is tried here is the page, on machines that are busy with other tests."""

CAMERA_PERIOD = 0.1  # s
MAP_RESOLUTION = 0.1  # m


class ScriptedRobot:
    """What the channels and the server need of a robot.

    Attributes:
        commands: Every velocity commanded.
        stopped: Whether the emergency stop is latched.
        autonomy_waits: Whether autonomy waits for a hand-back or a goal.
        goals: Every goal sent.
        films: Whether the camera works.
        values: The sections of the state.
    """

    def __init__(self) -> None:
        self.commands: list[Velocity] = []
        self.goals: list[tuple[float, float, float]] = []
        self.stopped = self.autonomy_waits = False
        self.breaks = 0  # how often what drives the base was gone
        self.films = True
        self.values = sections()
        self.cameras: Mapping[str, Callable[[], Frame | None]] = {"front": self._frame}
        self._image = picture()
        self._begun = time.monotonic()
        self._filmed: Frame | None = None

    # --- as the control channel sees it ---

    def summary(self) -> dict[str, Any]:
        return {}

    def obstacle(self) -> str | None:
        return None

    def stamp(self) -> int:
        return time.time_ns()

    def command(self, velocity: Velocity, stamp: int) -> None:
        self.commands.append(velocity)
        self.autonomy_waits = True

    async def set_stop(self, stop: bool) -> str:
        self.stopped = stop
        return "stopped" if stop else "reset"

    async def hand_back(self) -> str:
        self.autonomy_waits = False
        return "autonomy drives on"

    def go_to(self, x: float, y: float, yaw: float) -> None:
        self.autonomy_waits = False
        self.goals.append((x, y, yaw))

    async def cancel_goal(self) -> str:
        self.goals.clear()
        return "the goal is cancelled"

    # --- as the view channel sees it ---

    def now(self) -> float:
        return time.monotonic()

    def watch(self, on_frame: Callable[[], None] | None) -> None:
        pass  # frames are looked for often enough without

    def sections(self) -> Mapping[str, Section]:
        now = self.now()
        values = self.values | {"stopped": self.stopped}
        return {name: Section(json.dumps(value), now) for name, value in values.items()}

    def map(self) -> Sheet | None:
        cells = np.full((200, 300), 255, np.uint8)
        cells[:4], cells[-4:], cells[:, :4], cells[:, -4:], cells[60:80, 100:160] = 0, 0, 0, 0, 0
        header = {"resolution": MAP_RESOLUTION, "x": -15.0, "y": -10.0, "width": 300, "height": 200}
        png = cv2.imencode(".png", cells[::-1])[1].tobytes()
        return Sheet(1, self.now(), header, lambda _: png)

    def _frame(self) -> Frame | None:
        version = int((self.now() - self._begun) / CAMERA_PERIOD)
        if self.films and (self._filmed is None or self._filmed.version != version):
            captured = self._begun + version * CAMERA_PERIOD
            self._filmed = Frame(version, captured, captured, lambda: self._image)
        return self._filmed


class Dashboard:
    """The real server and channels with a scripted robot behind them.

    Args:
        folder: Gets tokens and audit log.
    """

    def __init__(self, folder: Path) -> None:
        self.robot = ScriptedRobot()
        self._folder = folder
        tokens = folder / "tokens"
        tokens.write_text(
            "".join(f"{digest(TOKENS[name])} {name} {role}\n" for name, role in ROLES.items())
        )
        tokens.chmod(0o600)
        self.audit = Audit(folder / "audit")
        self.control = ControlChannel(self.robot, self.audit, PATIENT)
        self._view = ViewChannel(self.robot, self.audit)
        self._server: DashboardServer | None = DashboardServer(
            (self._view, self.control),
            Access(people_of(tokens)),
            ServerSettings(port=0),
            self.audit,
            self.control,
        )
        self.url = self._server.url

    def audit_log(self) -> str:
        """Return what was written down about those who were here."""
        return "".join(file.read_text() for file in (self._folder / "audit").glob("*"))

    def cut(self) -> None:
        """Make the robot's dashboard vanish."""
        if self._server is not None:
            self._server.close()
        self._server = None

    def close(self) -> None:
        """End everything."""
        self.cut()
        self.audit.close()


def picture() -> Any:
    """Return what the camera films: (480, 640, 3) BGR."""
    shade = np.linspace(60, 200, 640, dtype=np.uint8)
    image = np.repeat(np.repeat(shade[None], 480, axis=0)[..., None], 3, axis=2)
    return np.ascontiguousarray(cv2.rectangle(image, (260, 180), (360, 400), (40, 90, 160), -1))


def sections() -> dict[str, Any]:
    """Return every section of the state, with a script wherever a name stands."""
    track = {"yaw": 0.3, "length": 0.6, "width": 0.5, "vx": 0.4, "vy": 0.1, "sources": 3}
    box = {"w": 100.0, "h": 220.0, "score": 0.87}
    stage = {"budget_ms": 25.0, "p95_ms": 12.5, "runs": 400, "missed": 3}
    backend = {"breaker": "closed", "rtt_ms": 12.0, "rtt_p95_ms": 20.0, "loss": 0.01}
    now = time.time()
    return {
        "robot": {
            "name": "crane",
            "footprint": [[0.3, 0.25], [-0.3, 0.25], [-0.3, -0.25], [0.3, -0.25]],
            "holonomic": False,
            "cameras": ["front"],
        },
        "pose": {"x": 1.0, "y": -1.0, "yaw": 0.5, "v": 0.0, "w": 0.0, "frame": "odom"},
        "mode": {"name": "nominal", "cause": "", "max_speed": 1.0},
        "holder": "autonomy",
        "command": {"vx": 0.0, "vy": 0.0, "wz": 0.0},
        "tracks": [
            {"id": 7, "class": "person", "x": 3.0, "y": 0.5, "existence": 0.9, **track},
            {"id": 8, "class": SCRIPT, "x": 2.0, "y": -3.0, "existence": 0.9, **track},
        ],
        "path": [[1.0, -1.0], [3.0, -1.5], [6.0, -2.0]],
        "trajectory": [[1.0, -1.0], [2.0, -1.2]],
        "goal": {"x": 6.0, "y": -2.0, "yaw": 0.0},
        "lidar": [[4.0, 1.0], [4.0, 0.0], [4.0, -1.0]],
        "onboard": [{"tier": "onboard", "x": 310.0, "y": 290.0, "class": "person", **box}],
        "fleet": [{"tier": "fog", "x": 312.0, "y": 288.0, "class": SCRIPT, **box}],
        "stages": {"camera_perception": stage, "planning": {**stage, "p95_ms": 40.0}},
        "link": {
            "up": True,
            "cause": "",
            "rtt_ms": 12.0,
            "placement": "fog",
            "offered": 9,
            "answered": 7,
            "late": 1,
            "failed": 1,
            "endpoints": [
                {"name": "hall", "tier": "fog", "up": True, "cause": "", "bandwidth": 2e6} | backend
            ],
        },
        "privacy": {
            "fleet_bridge": [
                {
                    "kind": "detect",
                    "tier": "fog",
                    "level": "blurred",
                    "cleared": 3,
                    "withheld": 2,
                    "reasons": {"a protected object": 2},
                }
            ]
        },
        "battery": {"charge": 0.63, "voltage": 25.1},
        "diagnostics": {"camera": {"level": 1, "text": "dark", "values": {"exposure": "33 ms"}}},
        "log": [{"time": now, "level": "warn", "node": "planner", "text": f"odd: {SCRIPT}"}],
        "neighbours": [
            {
                "name": SCRIPT,
                "url": "https://127.0.0.1:9/",
                "up": True,
                "mode": "reduced",
                "stopped": False,
                "holder": "autonomy",
                "battery": 0.5,
                "cause": "",
            },
            {"name": "stork", "url": "javascript:alert(1)", "up": False, "cause": "no answer"},
        ],
    }
