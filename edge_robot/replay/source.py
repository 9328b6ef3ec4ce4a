"""What a replay is fed from: frames of a camera and a lidar, with their calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FIXED_FRAME = "odom"
BASE_FRAME = "base_link"


@dataclass(frozen=True)
class Camera:
    """A camera's intrinsics.

    Attributes:
        frame: Optical frame: x right, y down, z forward.
        width: Pixels.
        height: Pixels.
        intrinsics: (3, 3) float64, of the raw image.
        projection: (3, 4) float64, pixels from the optical frame.
        rectification: (3, 3) float64; the identity where images are rectified already.
        distortion_model: As in `sensor_msgs/CameraInfo`.
        distortion: Its coefficients.
    """

    frame: str
    width: int
    height: int
    intrinsics: NDArray[np.float64]
    projection: NDArray[np.float64]
    rectification: NDArray[np.float64]
    distortion_model: str = "plumb_bob"
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Transform:
    """A pose of one frame in another.

    Attributes:
        parent: Frame.
        child: Frame.
        matrix: (4, 4) float64: coordinates in `parent` from those in `child`.
        stamp: When it held, ns; 0 for a static one.
    """

    parent: str
    child: str
    matrix: NDArray[np.float64]
    stamp: int = 0


@dataclass(frozen=True)
class Frame:
    """What the sensors gave at one instant.

    Attributes:
        stamp: Capture time, ns.
        image: (H, W, 3) uint8 BGR, or None.
        points: (N, 4) float32 x, y, z (m, lidar frame), intensity, or None.
        transforms: Moving transforms up to this instant, since the frame before.
    """

    stamp: int
    image: NDArray[np.uint8] | None = None
    points: NDArray[np.float32] | None = None
    transforms: Sequence[Transform] = ()


class Source(Protocol):
    """Recorded data of one camera and one lidar.

    Attributes:
        name: For people.
        note: A caveat for the report; may be empty.
        camera: The camera.
        lidar_frame: Frame of the points.
        static: Transforms that always hold; they connect `FIXED_FRAME` with all other frames.
    """

    name: str
    note: str
    camera: Camera
    lidar_frame: str
    static: tuple[Transform, ...]

    def __len__(self) -> int:
        """Return how many images and point clouds there are, counted one by one."""

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over the frames in order of their stamps.

        Raises:
            UserError: A frame is missing or broken.
        """
