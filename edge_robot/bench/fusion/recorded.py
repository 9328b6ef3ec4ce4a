"""Fusion on recordings: how often camera and lidar find the same things, and who is right."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from edge_robot.bench.fusion.perceived import image_boxes, sweep_boxes
from edge_robot.errors import UserError
from edge_robot.fusion.boxes import iou
from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.config import ClassSettings, TrackerConfig
from edge_robot.fusion.measurements import CameraMeasurement, Source
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track
from edge_robot.perception.detector import Detector
from edge_robot.perception.images import read_image
from edge_robot.perception.lidar.detector import LidarConfig, LidarDetector
from edge_robot.replay.folder import FolderSource
from edge_robot.settings import with_values
from edge_robot.share import share_dir

Array = NDArray[np.float64]

BOTH = Source.CAMERA | Source.LIDAR
LIDAR_HEIGHT = 1.73  # m, of KITTI's car
_SAME = 0.3  # image overlap from which a track is what a camera box shows
_AROUND = 0.5  # m; a track this close around a label is of it
_FEW = 5  # points of the sweep on a label below which nobody need find it
_CYCLES = {"bicycle", "motorcycle"}
_VEHICLES = {"car", "truck", "bus", "trailer", "construction_vehicle"}
_MEANT = {
    "person": {"pedestrian"},
    "bicycle": _CYCLES,
    "motorcycle": _CYCLES,
    "car": _VEHICLES,
    "truck": _VEHICLES,
    "bus": _VEHICLES,
}
"""What a camera's class may be called in the labels: kinds of vehicle are told apart loosely."""
_NUSCENES_LIDAR = {"mount_height": 1.84, "azimuth_step": 0.0058, "elevation_step": 0.0233}


@dataclass(frozen=True)
class Picture:
    """One image with what was seen in it.

    Attributes:
        name: Of the camera, or number of the frame.
        image: (H, W, 3) uint8 BGR.
        view: The camera.
        boxes: (K, 4) of the detector, pixels.
    """

    name: str
    image: NDArray[np.uint8]
    view: CameraView
    boxes: Array


@dataclass(frozen=True)
class Scene:
    """What is drawn of one instant.

    Attributes:
        title: For people.
        pictures: Of each camera.
        points: (N, 3) of the sweep, fixed frame, m.
        tracks: At that instant.
        labels: (L, 5) true x, y, length, width, yaw, fixed frame, m and rad; may be empty.
    """

    title: str
    pictures: list[Picture]
    points: Array
    tracks: list[Track]
    labels: Array


def measure_drive(folder: Path, model: str) -> tuple[dict[str, Any], list[Scene]]:
    """Return association rates on a drive in the layout of `FolderSource`, and what to draw."""
    source = FolderSource(folder, LIDAR_HEIGHT)
    poses = {transform.child: transform.matrix for transform in source.static}
    base_from_lidar = poses[source.lidar_frame]
    camera = source.camera
    view = CameraView(
        camera.projection, camera.width, camera.height, np.asarray(poses[camera.frame])
    )
    detector, lidar = Detector(model), LidarDetector(_road("lidar_perception", LidarConfig()))
    tracker = Tracker(_tracker_config())
    counts, scenes = _Counts(), list[Scene]()
    frames = len(source) // 2
    for index, frame in enumerate(source):
        assert frame.points is not None  # a folder has both at every instant
        assert frame.image is not None
        tracker.process(sweep_boxes(lidar, frame.points, frame.stamp, base_from_lidar))
        seen = image_boxes(detector, frame.image, frame.stamp, view)
        tracker.process(seen)
        tracks = tracker.tracks()
        wanted = seen.of_classes(set(tracker.config.priors))
        if index:  # nothing is confirmed before
            counts.add(tracks, [wanted])
        if index in (frames // 4, frames // 2, frames - 1):
            points = _placed(frame.points, base_from_lidar)
            picture = Picture(f"frame {index}", frame.image, view, wanted.boxes)
            title = f"{folder.name}, frame {index}"
            scenes.append(Scene(title, [picture], points, tracks, np.empty((0, 5))))
    return {"frames": frames, **counts.figures()}, scenes


def measure_keyframe(folder: Path, model: str) -> tuple[dict[str, Any], list[Scene]]:
    """Return association rates, recall and right pairings on one labelled keyframe of nuScenes.

    A single instant confirms no track that one sensor alone has made; here all count.
    """
    file = folder / "sample.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        sample, categories = content["sample"], content["metainfo"]["categories"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is no keyframe with labels ({error}); see nuscenes_sample"
        ) from error
    fixed_from_lidar = np.array(sample["lidar_points"]["lidar2ego"])
    cloud = _file(folder, sample["lidar_points"]["lidar_path"])
    points = np.fromfile(cloud, np.float32).reshape(-1, sample["lidar_points"]["num_pts_feats"])
    config = with_values(_road("lidar_perception", LidarConfig()), dict(_NUSCENES_LIDAR))
    tracker = Tracker(replace(_tracker_config(), confirm_hits=1, confirm_existence=0.0))
    stamp = round(sample["timestamp"] * 1e9)
    tracker.process(sweep_boxes(LidarDetector(config), points, stamp, fixed_from_lidar))
    detector = Detector(model)
    seen, pictures = [], []
    for name, camera in sample["images"].items():
        image = read_image(_file(folder, camera["img_path"]))
        projection = np.column_stack([np.array(camera["cam2img"])[:3, :3], np.zeros(3)])
        pose = fixed_from_lidar @ np.linalg.inv(np.array(camera["lidar2cam"]))
        view = CameraView(projection, image.shape[1], image.shape[0], pose)
        measurement = image_boxes(detector, image, stamp, view, sensor=name)
        tracker.process(measurement)
        wanted = measurement.of_classes(set(tracker.config.priors))
        seen.append(wanted)
        pictures.append(Picture(name, image, view, wanted.boxes))
    tracks = tracker.tracks()
    names = {number: name for name, number in categories.items()}
    labels = [item for item in sample["instances"] if item["bbox_label_3d"] in names]
    boxes = _label_boxes(labels, fixed_from_lidar)
    counts = _Counts()
    counts.add(tracks, seen)
    figures = {
        "labelled_boxes": len(labels),
        **counts.figures(),
        **_against_labels(tracks, boxes, labels, names),
    }
    scene = Scene(folder.name, pictures, _placed(points, fixed_from_lidar), tracks, boxes)
    return figures, [scene]


def _file(folder: Path, name: str) -> Path:
    """Return a file that is there under its recorded name, or that without its log's."""
    for file in (folder / name, folder / name.split("__", 1)[-1]):
        if file.is_file():
            return file
    raise UserError(f"{folder} lacks {name}; complete the folder")


class _Counts:
    """How often the sensors found the same things."""

    def __init__(self) -> None:
        self._boxes = self._boxes_with_lidar = 0
        self._tracks = self._tracks_with_camera = 0

    def add(self, tracks: list[Track], images: list[CameraMeasurement]) -> None:
        """Count the boxes of images of one instant, and the lidar's tracks that are in view."""
        by_lidar = [track for track in tracks if track.recent_sources & Source.LIDAR]
        places = np.array([track.position for track in by_lidar]).reshape(-1, 3)
        sizes = np.array([track.size for track in by_lidar]).reshape(-1, 3)
        yaws = np.array([track.yaw for track in by_lidar], float)
        in_any = np.zeros(len(by_lidar), bool)
        for image in images:
            expected, in_view = image.view.project_boxes(places, sizes, yaws)
            in_any |= in_view
            overlap = iou(expected, image.boxes)[in_view]
            self._boxes += len(image)
            self._boxes_with_lidar += int((overlap >= _SAME).any(axis=0).sum())
        self._tracks += int(in_any.sum())
        named = [bool(track.recent_sources & Source.CAMERA) for track in by_lidar]
        self._tracks_with_camera += int((in_any & np.array(named, bool)).sum())

    def figures(self) -> dict[str, Any]:
        """Return the counts and shares."""
        return {
            "camera_boxes": self._boxes,
            "share_of_camera_boxes_with_a_lidar_track": _share(self._boxes_with_lidar, self._boxes),
            "lidar_tracks_in_view": self._tracks,
            "share_of_lidar_tracks_that_a_camera_names": _share(
                self._tracks_with_camera, self._tracks
            ),
        }


def _against_labels(
    tracks: list[Track], boxes: Array, labels: list[dict[str, Any]], names: dict[int, str]
) -> dict[str, Any]:
    places = np.array([track.position[:2] for track in tracks]).reshape(-1, 2)
    offset = places[:, None] - boxes[:, :2]
    cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    along = np.abs(offset[..., 0] * cos + offset[..., 1] * sin) - boxes[:, 2] / 2
    across = np.abs(offset[..., 1] * cos - offset[..., 0] * sin) - boxes[:, 3] / 2
    on = (along <= _AROUND) & (across <= _AROUND)
    visible = np.array([item["num_lidar_pts"] >= _FEW for item in labels], bool)
    nameable = set().union(*_MEANT.values())
    named = np.array([names[item["bbox_label_3d"]] in nameable for item in labels], bool)
    asked = np.asarray(visible & named)
    fused = [n for n, track in enumerate(tracks) if track.sources & BOTH == BOTH]
    right = sum(
        any(
            names[labels[k]["bbox_label_3d"]] in _MEANT.get(tracks[n].class_name, set())
            for k in np.flatnonzero(on[n])
        )
        for n in fused
    )
    on_something = sum(bool(on[n].any()) for n in fused)
    return {
        "labels_to_be_found": int(asked.sum()),
        "recall": _share(int((on.any(axis=0) & asked).sum()), int(asked.sum())),
        "fused_tracks": len(fused),
        "fused_on_a_label": on_something,
        "share_of_those_of_the_right_class": _share(right, on_something),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _label_boxes(labels: list[dict[str, Any]], fixed_from_lidar: Array) -> Array:
    """Return x, y, length, width and yaw of labels in the fixed frame, (L, 5)."""
    rows = np.array([item["bbox_3d"] for item in labels], float).reshape(-1, 7)
    turn = np.arctan2(fixed_from_lidar[1, 0], fixed_from_lidar[0, 0])
    return np.column_stack(
        [_placed(rows[:, :3], fixed_from_lidar)[:, :2], rows[:, 3:5], rows[:, 6] + turn]
    )


def _placed(points: NDArray[Any], pose: Array) -> Array:
    return np.asarray(points[:, :3] @ pose[:3, :3].T + pose[:3, 3], float)


def _road(node: str, defaults: Any) -> Any:
    return with_values(defaults, _section(node))


def _tracker_config() -> TrackerConfig:
    """Return the road's settings of fusion, classes included."""
    values = _section("fusion")
    priors = with_values(ClassSettings(), values).priors()
    return replace(with_values(TrackerConfig(), values), priors=priors)


def _section(node: str) -> dict[str, Any]:
    file = share_dir() / "config" / "replay_kitti.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return dict(content[f"/**/{node}"]["ros__parameters"])
