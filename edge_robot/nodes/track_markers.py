"""Tracks in standard types, for RViz, Foxglove and nodes of others, while somebody listens.

`TRACKS` → `TRACK_DETECTIONS`, `TRACK_MARKERS`. A node of its own: however many tracks somebody
looks at, fusion does not wait for the drawing.
"""

from __future__ import annotations

from rclpy.clock import Clock, ClockType
from rclpy.subscription import Subscription
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from edge_robot import topics
from edge_robot.msg import TrackedObjectArray
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.track_drawing import TrackDrawing
from edge_robot.nodes.track_messages import to_detection_array

_LOOK_PERIOD = 0.5  # s; how often it is looked for listeners


class TrackMarkers(ManagedNode):
    """Hears the tracks only while its own topics are heard."""

    def __init__(self) -> None:
        super().__init__("track_markers")

    def activate(self) -> None:
        """Look for listeners."""
        self._detections = self.create_publisher(
            Detection3DArray, topics.TRACK_DETECTIONS.name, qos_profile(topics.TRACK_DETECTIONS)
        )
        self._markers = self.create_publisher(
            MarkerArray, topics.TRACK_MARKERS.name, qos_profile(topics.TRACK_MARKERS)
        )
        self._tracks: Subscription | None = None
        self._drawing = TrackDrawing()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_LOOK_PERIOD, self._look_for_listeners, clock=steady)

    def _look_for_listeners(self) -> None:
        heard = any(p.get_subscription_count() for p in (self._detections, self._markers))
        if heard and self._tracks is None:
            self._tracks = self.create_subscription(
                TrackedObjectArray, topics.TRACKS.name, self._on_tracks, qos_profile(topics.TRACKS)
            )
        elif not heard and self._tracks is not None:
            self.destroy_subscription(self._tracks)
            self._tracks = None

    def _on_tracks(self, message: TrackedObjectArray) -> None:
        if self._detections.get_subscription_count():
            self._detections.publish(to_detection_array(message))
        if self._markers.get_subscription_count():
            self._markers.publish(self._drawing.markers(message))


def main() -> None:
    """Run the node."""
    run(TrackMarkers)


if __name__ == "__main__":
    main()
