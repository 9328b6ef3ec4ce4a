"""What the robot permits itself: contracts of inputs, `DEADLINES`, `ESTOP`, `HOLDER` → `MODE`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import hypot, inf
from typing import Any

from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Bool, String

from edge_robot import stages, topics
from edge_robot.control.arbitration import EMERGENCY_STOP, OPERATOR, WAITING
from edge_robot.control.inputs import Input, Severity
from edge_robot.control.modes import AUTONOMOUS, Conditions, Mode, ModeMachine, ModeTimes
from edge_robot.control.safe_speed import Sight, safe_speed
from edge_robot.deadlines import CommandLatency
from edge_robot.introspection.interfaces import interface_class
from edge_robot.msg import DeadlineStatus, LinkState, RobotMode, StageRun
from edge_robot.nodes.contract_watch import ContractWatch
from edge_robot.nodes.conversions import nanoseconds, stamp_from_nanoseconds, stamp_of
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import check_pace, steady_seconds
from edge_robot.nodes.unhurried import unhurried
from edge_robot.nodes.urgency import Urgency
from edge_robot.topics import Topic

_PERIOD = 0.02  # s
_HEARTBEAT = 0.2  # s
_SPEED_STEP = 0.05  # m/s; less is no news
_PERCEIVED = (topics.SCAN, topics.CAMERA_DETECTIONS, topics.LIDAR_DETECTIONS)
"""What the robot sees with, stamped with the time of capture."""

_WITHHELD = (WAITING, EMERGENCY_STOP, OPERATOR)
"""Holders from whom autonomy does not get the wheel without a human's word. The operator too: a
multiplexer that dies while somebody drives tells nobody any more that autonomy must wait."""


_LATE, _SLOW, _LOST = Severity.LATE, Severity.DEGRADED, Severity.LOST

_NEEDED: tuple[tuple[Topic, str, float, Severity | None, Severity], ...] = (
    (topics.SCAN, "scan_timeout", 0.3, _SLOW, _LOST),
    (topics.ODOM, "odom_timeout", 0.3, _SLOW, _LOST),
    (topics.TRACKS, "tracks_timeout", 0.5, _LATE, _LATE),
    (topics.ESTOP, "estop_timeout", 2.5, None, _LOST),
    (topics.CAMERA_DETECTIONS, "camera_timeout", 0.6, None, _SLOW),
    (topics.LIDAR_DETECTIONS, "lidar_timeout", 0.6, None, _SLOW),
)
"""Inputs without which autonomy does not begin: the parameter of the silence after which each is
lost, its default, s, and how bad it is when the input is overdue and when it is gone."""

_LONGEST_LATE = 1.0
"""Silence for which a plan is late, s; a planner that is silent for longer has nothing to plan.
More than the trajectory's deadline and the last safe plan take: they end in a controlled stop."""


class ModeManager(ManagedNode):
    """Watches contracts, and publishes the mode on every change and five times a second."""

    def __init__(self) -> None:
        super().__init__("mode_manager")
        about = "silence after which this input counts as lost, s"
        self._timeouts = {
            topic.name: self.parameter(parameter, timeout, about, ge=0.0)
            for topic, parameter, timeout, _, _ in _NEEDED
        }
        self._nominal_speed = self.parameter(
            "nominal_speed", 1.4, "speed permitted when all is well, m/s", ge=0.0, live=True
        )
        self._reduced_speed = self.parameter(
            "reduced_speed", 0.6, "speed permitted when degraded, m/s", ge=0.0, live=True
        )
        self._reduced_share = self.parameter(
            "reduced_planning_share",
            0.5,
            "share of its time the planner gets when degraded, 0..1",
            ge=0.0,
            le=1.0,
            live=True,
        )
        self._reduced_period = self.parameter(
            "reduced_planning_period",
            0.09,
            "mean time between plans on new images when degraded, s",
            ge=0.0,
            le=0.2,  # the planner waits no longer
            live=True,
        )
        self._visible = self.parameter(
            "visible_range", 6.0, "how far sensors and planner surely see, m", ge=0.0
        )
        self._sight = self.settings(Sight())
        self._operator_lease = self.parameter(
            "operator_lease",
            0.3,
            "how long a command of an operator shows that one drives, s",
            ge=0.0,
        )
        self._late_share = self.parameter(
            "late_share",
            0.5,
            "share of a stage's runs over budget from which it counts, 0..1",
            ge=0.0,
            le=1.0,
            live=True,
        )
        self._times = self.settings(ModeTimes())

    def configure(self) -> None:
        """Refuse a slower clock where the world is real."""
        check_pace(self)

    def activate(self) -> None:
        """Watch, with nothing heard yet."""
        self._inputs: dict[str, Input] = {}
        self._watches: list[ContractWatch] = []
        self._machine = ModeMachine(self._times.value)
        self._late: dict[str, float] = {}
        self._slow: set[str] = set()
        self._link: LinkState | None = None
        self._operator_heard: float | None = None
        self._stopped = False
        self._holder = ""
        self._since = self.get_clock().now().to_msg()
        self._allowed = self._speed_at_entry = 0.0
        self._commanded = inf  # m/s, newest command at the wheels; unbounded where none is heard
        self._latency = CommandLatency()
        self._latencies = DeadlineReporter(self, stages.CAMERA_TO_COMMAND)
        self._clock_offsets: deque[float] = deque(maxlen=round(1.0 / _PERIOD))

        for topic, _, _, overdue, gone in _NEEDED:
            timeout = self._timeouts[topic.name].value
            self._watch(topic, Input(self._full(topic), overdue, gone, timeout))
        for topic in (topics.CMD_VEL_NAV, topics.CMD_VEL_MUX, topics.CMD_VEL):
            assert topic.qos.liveliness_lease is not None
            lease = topic.qos.liveliness_lease
            self._watch(topic, Input(self._full(topic), _SLOW, _LOST, lease, needed=False))
        trajectory = topics.TRAJECTORY
        self._watch(
            trajectory,
            Input(self._full(trajectory), _LATE, _LATE, _LONGEST_LATE, needed=False, pauses=True),
        )
        for topic, callback, raw in (
            (topics.CMD_VEL_TELEOP, self._on_operator, True),
            (topics.DEADLINES, self._on_deadlines, False),
            (topics.LINK, self._on_link, False),
            (topics.HOLDER, self._on_holder, False),
        ):
            subscription = self.create_subscription(
                interface_class(topic.type), topic.name, callback, qos_profile(topic), raw=raw
            )
            if topic is not topics.HOLDER:  # who may take freedom away
                unhurried(subscription)
        self._publisher = self.create_publisher(
            RobotMode, topics.MODE.name, qos_profile(topics.MODE)
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_PERIOD, self._tick, clock=steady)
        self.create_timer(_HEARTBEAT, self._publish, clock=steady)

    def reconfigure(self) -> None:
        """Judge what comes next by the new times."""
        if self.is_active:
            self._machine.times = self._times.value

    def _full(self, topic: Topic) -> str:
        """Return what people see of a topic when they look at the graph."""
        return str(self.resolve_topic_name(topic.name))

    def _watch(self, topic: Topic, state: Input) -> None:
        self._inputs[topic.name] = state
        idle = topic not in (topics.ESTOP, topics.CMD_VEL)
        listener = self._listener(topic, state)
        self._watches.append(ContractWatch(self, topic, state, listener, self._update, idle=idle))

    def _listener(self, topic: Topic, state: Input) -> Callable[[Any], None]:
        if topic is topics.ESTOP:
            return self._on_estop
        if topic is topics.CMD_VEL:
            return self._on_command
        if topic not in _PERCEIVED:
            return lambda _data: state.heard(steady_seconds())

        def note(data: bytes) -> None:
            stamp = stamp_of(data)
            if stamp is not None:
                age = (self.get_clock().now().nanoseconds - stamp) * 1e-9
                state.heard(steady_seconds(), age)

        return note

    # --- what comes in ----------------------------------------------------------------------

    def _on_estop(self, message: Bool) -> None:
        self._inputs[topics.ESTOP.name].heard(steady_seconds())
        self._stopped = message.data
        self._update()

    def _on_command(self, command: TwistStamped) -> None:
        now = steady_seconds()
        self._inputs[topics.CMD_VEL.name].heard(now)
        self._latency.heard(nanoseconds(command.header.stamp), now)
        self._commanded = hypot(command.twist.linear.x, command.twist.linear.y)

    def _on_operator(self, _data: bytes) -> None:
        self._operator_heard = steady_seconds()

    def _on_deadlines(self, status: DeadlineStatus) -> None:
        missed = sum(run.elapsed > status.budget for run in status.runs)
        share = missed / len(status.runs) if status.runs else 0.0
        # Two reports: one slow second in a loaded machine is no degradation.
        late = self._late[status.stage] = 0.5 * (self._late.get(status.stage, 0.0) + share)
        # A stage that is given less to do in the reduced mode must not flicker between the two.
        if late > self._late_share.value:
            self._slow.add(status.stage)
        elif late < 0.5 * self._late_share.value:
            self._slow.discard(status.stage)
        if status.stage == stages.CONTROL.name:
            self._note_latencies(status.runs)

    def _note_latencies(self, runs: list[StageRun]) -> None:
        """Measure from capture to `/cmd_vel`, by the steady clock."""
        if not self._clock_offsets:
            return
        # Simulated time stands still between two ticks of /clock: the smallest offset is right.
        offset = min(self._clock_offsets)
        joined = self._latency.join(
            (nanoseconds(run.capture_stamp), nanoseconds(run.output_stamp)) for run in runs
        )
        for capture, stamp, heard in joined:
            run = StageRun(elapsed=heard - offset - capture * 1e-9)
            run.capture_stamp = stamp_from_nanoseconds(capture)
            run.output_stamp = stamp_from_nanoseconds(stamp)
            if run.elapsed > 0.0:  # else time has jumped
                self._latencies.add(run)

    def _on_link(self, link: LinkState) -> None:
        self._link = link

    def _on_holder(self, holder: String) -> None:
        self._holder = holder.data
        if holder.data == OPERATOR:
            self._operator_heard = steady_seconds()
        self._update()

    # --- what goes out ----------------------------------------------------------------------

    def _tick(self) -> None:
        self._clock_offsets.append(steady_seconds() - self.get_clock().now().nanoseconds * 1e-9)
        self._update()

    def _update(self) -> None:
        now, before = steady_seconds(), self._machine.mode
        changed = self._machine.update(self._conditions(now), now)
        if self._machine.mode is not before:
            self._since = self.get_clock().now().to_msg()
            self._speed_at_entry = min(self._allowed, self._commanded)
            self.get_logger().info(f"{self._machine.mode.text}: {self._machine.cause}")
        allowed = self._max_speed(now)
        stops = allowed == 0.0 < self._allowed
        if changed or stops or abs(allowed - self._allowed) > _SPEED_STEP:
            self._allowed = allowed
            self._publish()

    def _conditions(self, now: float) -> Conditions:
        found: dict[Severity, list[str]] = {severity: [] for severity in Severity}
        for state in self._inputs.values():
            verdict = state.verdict(now)
            if verdict is not None:
                found[verdict[0]].append(verdict[1])
        found[Severity.DEGRADED] += [f"{stage} misses its budget" for stage in sorted(self._slow)]
        if self._link is not None and not self._link.up:
            found[Severity.NOTE].append("no fleet link: onboard perception alone")
        oldest = self._oldest(now)
        if oldest is not None and self._in_sight(oldest, now) < self._nominal_speed.value:
            found[Severity.NOTE].append(f"speed bounded by the age of {oldest.name}")
        heard = self._operator_heard
        return Conditions(
            missing=tuple(s.waited_for for s in self._inputs.values() if s.needed and s.missing),
            lost=tuple(found[Severity.LOST]),
            late=tuple(found[Severity.LATE]),
            degraded=tuple(found[Severity.DEGRADED]),
            notes=tuple(found[Severity.NOTE]),
            stopped=self._stopped,
            operated=heard is not None and now - heard < self._operator_lease.value,
            waiting=self._holder in _WITHHELD,
        )

    def _oldest(self, now: float) -> Input | None:
        """Return the oldest of what the robot sees with and still trusts."""
        seen = [self._inputs[topic.name] for topic in (*_PERCEIVED, topics.TRACKS)]
        trusted = [s for s in seen if not s.missing and not s.is_gone(now)]
        return max(trusted, key=lambda state: state.age(now), default=None)

    def _in_sight(self, oldest: Input, now: float) -> float:
        """Return the speed from which the robot stops within what it has seen, m/s."""
        return safe_speed(oldest.age(now), self._visible.value, self._sight.value)

    def _max_speed(self, now: float) -> float:
        """Return the speed that mode and age of perception permit, m/s."""
        mode, oldest = self._machine.mode, self._oldest(now)
        if mode not in AUTONOMOUS or oldest is None:
            return 0.0
        if mode is Mode.LAST_SAFE_PLAN:
            spent = (now - self._machine.since) / self._machine.times.last_plan_time
            limit = self._speed_at_entry * max(0.0, 1.0 - spent)
        else:
            speed = self._reduced_speed if mode is Mode.REDUCED else self._nominal_speed
            limit = speed.value
        return min(limit, self._in_sight(oldest, now))

    def _publish(self) -> None:
        mode = self._machine.mode
        reduced = mode is Mode.REDUCED
        message = RobotMode(
            mode=int(mode),
            cause=self._machine.cause,
            since=self._since,
            max_speed=self._allowed,
            planning_share=self._reduced_share.value if reduced else 1.0,
            planning_period=self._reduced_period.value if reduced else 0.0,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(message)


def main() -> None:
    """Run the node."""
    run(ModeManager, Urgency.CONTROL)


if __name__ == "__main__":
    main()
