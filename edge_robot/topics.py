"""The table of topics: what talks to what, how fast, and under which QoS contract.

Every node takes its names, types and QoS from here; `docs/reference/topics.md` and the conformance
tests read the same table. Names are relative, so that a namespace moves everything of a robot; what
a whole system has once (`/clock`, `/diagnostics`) is not, nor are `/tf` and `/tf_static`, which
tf2 knows by these names: launch files remap them into the robot's namespace. Plain data: no ROS
import.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Reliability(Enum):
    """Whether DDS resends what was lost."""

    RELIABLE = "reliable"
    BEST_EFFORT = "best effort"
    SENSOR = "best effort (reliable on request)"
    """For samples larger than a socket's buffer. Drivers publish best effort, and a reliable reader
    would not hear them; but where the kernel grants a socket only its default of 208 kB, most
    images are lost that way. EDGE_ROBOT_SENSOR_RELIABILITY says which; simulation and replay
    choose reliable."""


class Durability(Enum):
    """Whether a late joiner gets the last samples."""

    VOLATILE = "volatile"
    TRANSIENT_LOCAL = "transient local"


@dataclass(frozen=True)
class Qos:
    """A QoS contract; history is always keep-last.

    Attributes:
        reliability: Whether lost samples are resent.
        depth: Samples kept.
        durability: Whether a late joiner gets the kept samples.
        deadline: Longest promised time between two samples, s; None for no promise.
        lifespan: Age after which a sample is not delivered any more, s; None for ever.
        liveliness_lease: Time without a sign of life after which a writer counts as dead, s.
    """

    reliability: Reliability = Reliability.RELIABLE
    depth: int = 10
    durability: Durability = Durability.VOLATILE
    deadline: float | None = None
    lifespan: float | None = None
    liveliness_lease: float | None = None


@dataclass(frozen=True)
class Topic:
    """One row of the table.

    Attributes:
        name: Default topic name, as a node is given it: moved by namespace and remappings as any
            name in ROS 2. What the graph has is its `full_name`.
        type: ROS 2 type, `package/Name`.
        rate: Nominal rate as text, Hz.
        qos: The contract of its publisher and of its subscribers.
        about: What it carries: meaning, frame, units.
        sensor: The part of the name that is a sensor's, or a peer's, if it has several.
        derived: Whether it only says once more, in another form, what another topic says.
        foreign: Whether it comes from drivers, which promise neither deadline nor liveliness: our
            simulator promises them, and only who watches the contract asks for them.
    """

    name: str
    type: str
    rate: str
    qos: Qos
    about: str
    sensor: str = ""
    derived: bool = False
    foreign: bool = False

    @property
    def deadline(self) -> float:
        """The deadline that it promises, s.

        Raises:
            ValueError: it promises none.
        """
        if self.qos.deadline is None:
            raise ValueError(f"{self.name} promises no deadline")
        return self.qos.deadline

    @property
    def lifespan(self) -> float:
        """The age after which its samples are not delivered, s.

        Raises:
            ValueError: they are for ever.
        """
        if self.qos.lifespan is None:
            raise ValueError(f"samples of {self.name} do not expire")
        return self.qos.lifespan

    def of(self, sensor: str) -> Topic:
        """Return the same topic of another sensor: `CAMERA_DETECTIONS.of("left")`."""
        words = (sensor if word == self.sensor else word for word in self.name.split("/"))
        return replace(self, name="/".join(words), sensor=sensor)


def row_of(name: str) -> Topic | None:
    """Return the row of the table that a name, of any sensor, is of; None if it is none's.

    Args:
        name: As a node is given it, before namespace and remappings.
    """
    words = name.split("/")
    for row in TOPICS:
        known = row.name.split("/")
        same = (
            word == other or other == row.sensor for word, other in zip(words, known, strict=False)
        )
        if len(words) == len(known) and all(same):
            return row
    return None


def full_name(name: str, namespace: str = "/") -> str:
    """Return a name as graph, recordings and reports have it: `odom` of `/robot1`: `/robot1/odom`.

    A node that wants to know what it was remapped to asks `Node.resolve_topic_name` instead.

    Args:
        name: Of a topic or service, relative or absolute.
        namespace: The robot's.
    """
    return name if name.startswith("/") else f"{namespace.rstrip('/')}/{name}"


_BEST = Reliability.BEST_EFFORT
_LATCHED = Qos(depth=1, durability=Durability.TRANSIENT_LOCAL)
_VIEW = Qos(depth=2, lifespan=0.300)
_COMMAND = Qos(depth=1, deadline=0.060, lifespan=0.100, liveliness_lease=0.200)
_DETECTIONS = Qos(depth=5, deadline=0.200, lifespan=0.300, liveliness_lease=0.600)

FRONT_CAMERA = "front"
LIDAR = "lidar"
PEER = "robot2"
"""The sensors, and the peer, of which the table speaks; of any other see `Topic.of`."""

CLOCK = Topic("/clock", "rosgraph_msgs/Clock", "50", Qos(_BEST, 1), "simulated time")
TF = Topic("/tf", "tf2_msgs/TFMessage", "50", Qos(depth=100), "odom → base_link")
TF_STATIC = Topic(
    "/tf_static",
    "tf2_msgs/TFMessage",
    "once",
    Qos(depth=100, durability=Durability.TRANSIENT_LOCAL),
    "map → odom, base_link → sensors",
)
ODOM = Topic(
    "odom",
    "nav_msgs/Odometry",
    "50",
    Qos(depth=10, deadline=0.100, lifespan=0.500, liveliness_lease=0.300),
    "pose in odom, twist in base_link",
    foreign=True,
)
IMU = Topic(
    "imu/data",
    "sensor_msgs/Imu",
    "100",
    Qos(_BEST, 5),
    "turning rates, rad/s, and accelerations, m/s²; a driver's; frame imu_link",
    foreign=True,
)
CAMERA_IMAGE = Topic(
    "camera/front/image_raw",
    "sensor_msgs/Image",
    "10",
    Qos(Reliability.SENSOR, 2, lifespan=0.200),
    "colour or grey image of any encoding; frame camera_front_optical_frame",
    sensor=FRONT_CAMERA,
)
CAMERA_COMPRESSED = Topic(
    "camera/front/image_raw/compressed",
    "sensor_msgs/CompressedImage",
    "10",
    Qos(Reliability.SENSOR, 2, lifespan=0.200),
    "the same as JPEG or PNG, where the driver sends that (camera_perception: transport)",
    sensor=FRONT_CAMERA,
)
CAMERA_INFO = Topic(
    "camera/front/camera_info",
    "sensor_msgs/CameraInfo",
    "10",
    Qos(_BEST, 2, lifespan=0.200),
    "intrinsics of the front camera",
    sensor=FRONT_CAMERA,
)
LIDAR_POINTS = Topic(
    "lidar/points",
    "sensor_msgs/PointCloud2",
    "10",
    Qos(Reliability.SENSOR, 2, deadline=0.150, lifespan=0.200),
    "one sweep, x y z intensity float32, m; frame lidar_link",
    sensor=LIDAR,
    foreign=True,
)
SCAN = Topic(
    "scan",
    "sensor_msgs/LaserScan",
    "20",
    Qos(_BEST, 2, deadline=0.150, lifespan=0.200, liveliness_lease=0.300),
    "horizontal ranges near the floor, m; frame scan_link",
    foreign=True,
)
CAMERA_DETECTIONS = Topic(
    "perception/camera/front/detections",
    "vision_msgs/Detection2DArray",
    "10",
    _DETECTIONS,
    "onboard detections, boxes in pixels of the raw image, class name as class_id; where depth "
    "was measured, the pose's z, m, with its variance",
    sensor=FRONT_CAMERA,
)
LIDAR_DETECTIONS = Topic(
    "perception/lidar/detections",
    "vision_msgs/Detection3DArray",
    "10",
    _DETECTIONS,
    "oriented boxes, m, with the covariance of their pose; frame lidar_link; a second hypothesis "
    '"moving" has the probability of that as its score, and is absent where it is not known; boxes '
    'of another class than "object" are a 3D detector\'s, around whole objects',
    sensor=LIDAR,
)
LIDAR_CLEARANCE = Topic(
    "perception/lidar/clearance",
    "sensor_msgs/LaserScan",
    "10",
    Qos(depth=5, lifespan=0.300),
    "how far one sees past everything, by direction: nearer than that nobody stands, m; 0 where "
    "that is not known; frame lidar_link",
    sensor=LIDAR,
)
FLEET_DETECTIONS = Topic(
    "fleet/detections",
    "edge_robot/FleetDetections",
    "as they come",
    Qos(depth=10),
    "second opinions of the fleet backend, at their capture time",
)
TRACKS = Topic(
    "fusion/tracks",
    "edge_robot/TrackedObjectArray",
    "20",
    Qos(depth=2, deadline=0.300, lifespan=0.300, liveliness_lease=0.300),
    "fused tracks; frame odom",
)
PEER_TRACKS = Topic(
    "peers/robot2/tracks",
    "edge_robot/TrackedObjectArray",
    "as they come",
    Qos(_BEST, 5),
    "what another robot, or a sensor at the roadside, follows; any frame that TF knows; its clock "
    "is ours",
    sensor=PEER,
)
TRACK_DETECTIONS = Topic(
    "fusion/detections",
    "vision_msgs/Detection3DArray",
    "20 while heard",
    _VIEW,
    "the tracks as a standard type: id, class, box, covariance of x and y; frame odom",
    derived=True,
)
TRACK_MARKERS = Topic(
    "fusion/markers",
    "visualization_msgs/MarkerArray",
    "20 while heard",
    _VIEW,
    "the tracks for RViz and Foxglove: boxes, velocities, names, 95 % ellipses; frame odom",
    derived=True,
)
GOAL = Topic(
    "goal_pose",
    "geometry_msgs/PoseStamped",
    "on demand",
    Qos(depth=10),
    "goal, from anybody or, by the planner, from one of its actions; any frame that TF knows",
)
MAP = Topic(
    "map",
    "nav_msgs/OccupancyGrid",
    "once",
    _LATCHED,
    "static map, the planner's own (parameter map) or a map server's; frame map",
)
COSTMAP = Topic(
    "global_costmap",
    "nav_msgs/OccupancyGrid",
    "1",
    _LATCHED,
    "what the planner knows; frame odom",
)
LOCAL_COSTMAP = Topic(
    "local_costmap",
    "nav_msgs/OccupancyGrid",
    "2 while heard",
    Qos(depth=1),
    "cost around the robot as nav2 counts it: 100 in an obstacle, 99 where the base would touch "
    "one, less farther off; frame odom",
    derived=True,
)
PATH = Topic("plan", "nav_msgs/Path", "1", Qos(depth=1), "global path; frame odom")
TRAJECTORY_VALIDITY = 0.65
"""Time from the start of a trajectory for which it may be followed, s."""

TRAJECTORY = Topic(
    "planning/trajectory",
    "edge_robot/Trajectory",
    "20",
    Qos(depth=1, deadline=0.400, lifespan=TRAJECTORY_VALIDITY, liveliness_lease=0.300),
    "timed local trajectory; frame odom",
)
CMD_VEL_NAV = Topic(
    "cmd_vel/nav", "geometry_msgs/TwistStamped", "50", _COMMAND, "autonomy's command; base_link"
)
CMD_VEL_TELEOP = Topic(
    "cmd_vel/teleop",
    "geometry_msgs/TwistStamped",
    "50 while held",
    Qos(depth=1, lifespan=0.100),
    "operator's command, explicit zeros while the wheel is held and nobody drives; base_link",
)
CMD_VEL_MUX = Topic(
    "cmd_vel/mux", "geometry_msgs/TwistStamped", "50", _COMMAND, "the command that won arbitration"
)
CMD_VEL = Topic(
    "cmd_vel", "geometry_msgs/TwistStamped", "50", _COMMAND, "what the wheels do; base_link"
)
HOLDER = Topic(
    "cmd_vel/holder",
    "std_msgs/String",
    "on change, 1",
    _LATCHED,
    "who drives: a source of command_mux, emergency_stop, waiting (autonomy, for a hand-back or a "
    "goal) or nobody",
)
MODE = Topic(
    "robot/mode",
    "edge_robot/RobotMode",
    "on change, 5",
    replace(_LATCHED, deadline=0.400, liveliness_lease=0.200),
    "mode, cause, and what planner and controller may do",
)
ESTOP = Topic(
    "estop",
    "std_msgs/Bool",
    "on change, 1",
    replace(_LATCHED, deadline=1.5, liveliness_lease=0.200),
    "latched emergency stop",
)
DEADLINES = Topic(
    "deadlines",
    "edge_robot/DeadlineStatus",
    "1 per stage",
    Qos(depth=50),
    "budgets kept and missed",
)
LINK = Topic(
    "fleet/link", "edge_robot/LinkState", "on change, 5", _LATCHED, "links to the backends"
)
PRIVACY = Topic(
    "fleet/privacy",
    "edge_robot/PrivacyState",
    "1 per node",
    Qos(depth=10),
    "what may leave the robot, and what was withheld, by whom that sends",
)
DIAGNOSTICS = Topic(
    "/diagnostics",
    "diagnostic_msgs/DiagnosticArray",
    "1 per node",
    Qos(depth=10),
    "health of camera, model and machine: level, text and figures of each",
)
BATTERY = Topic(
    "battery_state",
    "sensor_msgs/BatteryState",
    "1",
    Qos(_BEST, 1),
    "charge 0..1, NaN where not measured; a driver's",
)
EVENTS = Topic(
    "events",
    "edge_robot/Event",
    "as they happen",
    Qos(depth=50, durability=Durability.TRANSIENT_LOCAL),
    "what belongs on the report's time line",
)
SIMULATION_TRUTH = Topic(
    "sim/truth",
    "edge_robot/SimulationTruth",
    "10",
    Qos(depth=10),
    "the referee's view; recorded, never used by the stack",
)

TOPICS: tuple[Topic, ...] = (
    CLOCK,
    TF,
    TF_STATIC,
    ODOM,
    IMU,
    CAMERA_IMAGE,
    CAMERA_COMPRESSED,
    CAMERA_INFO,
    LIDAR_POINTS,
    SCAN,
    CAMERA_DETECTIONS,
    LIDAR_DETECTIONS,
    LIDAR_CLEARANCE,
    FLEET_DETECTIONS,
    TRACKS,
    PEER_TRACKS,
    TRACK_DETECTIONS,
    TRACK_MARKERS,
    GOAL,
    MAP,
    COSTMAP,
    LOCAL_COSTMAP,
    PATH,
    TRAJECTORY,
    CMD_VEL_NAV,
    CMD_VEL_TELEOP,
    CMD_VEL_MUX,
    CMD_VEL,
    HOLDER,
    MODE,
    ESTOP,
    DEADLINES,
    LINK,
    PRIVACY,
    DIAGNOSTICS,
    BATTERY,
    EVENTS,
    SIMULATION_TRUTH,
)
