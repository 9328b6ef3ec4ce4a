"""The camera as a measuring instrument: where boxes appear in it, and what a box says of range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.boxes import corners
from edge_robot.fusion.kalman import Array

_NEAR = 0.1  # m; nothing nearer than this to the camera's plane has an image
_EDGE = 2.0  # pixels; a box as near as this to the edge of the image may go on beyond it


@dataclass(frozen=True)
class Located:
    """Where on the ground camera boxes stand.

    Attributes:
        positions: (K, 2) m, fixed frame.
        covariances: (K, 2, 2) m², long along the ray.
        valid: (K,) whether there is an estimate at all.
    """

    positions: Array
    covariances: Array
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class CameraView:
    """A pinhole camera at one instant.

    Attributes:
        projection: (3, 4) pixels from the optical frame (x right, y down, z forward); its fourth
            column counts (a rectified camera that is not the reference camera has one).
        width: Image width, pixels.
        height: Image height, pixels.
        fixed_from_optical: (4, 4) pose of the optical frame in the fixed frame.
    """

    projection: Array
    width: int
    height: int
    fixed_from_optical: Array

    @cached_property
    def matrix(self) -> Array:
        """(3, 4) homogeneous pixels from homogeneous points of the fixed frame."""
        return self.projection @ np.linalg.inv(self.fixed_from_optical)

    @cached_property
    def origin(self) -> Array:
        """(3,) the centre of projection in the fixed frame, m."""
        return self.fixed_from_optical[:3, 3] - self._by_pixel @ self.projection[:, 3]

    @cached_property
    def _by_pixel(self) -> Array:
        """(3, 3) directions in the fixed frame, of depth 1 m, from homogeneous pixels."""
        return self.fixed_from_optical[:3, :3] @ np.linalg.inv(self.projection[:, :3])

    def rays(self, pixels: Array) -> Array:
        """Return (K, 3) directions in the fixed frame, of depth 1 m, through (K, 2) pixels."""
        return pixels @ self._by_pixel[:, :2].T + self._by_pixel[:, 2]

    def project_boxes(
        self, centers: Array, sizes: Array, yaws: Array
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Return the image rectangles (N, 4) of boxes, clipped to the image, and which are in view.

        Args:
            centers: (N, 3) m, fixed frame.
            sizes: (N, 3) m.
            yaws: (N,) rad.
        """
        points = corners(centers, sizes, yaws)
        image = points @ self.matrix[:, :3].T + self.matrix[:, 3]
        depth = np.maximum(image[..., 2], _NEAR)
        pixels = image[..., :2] / depth[..., None]
        limit = (float(self.width), float(self.height))
        low = np.minimum(np.maximum(pixels.min(axis=1), 0.0), limit)
        high = np.minimum(np.maximum(pixels.max(axis=1), 0.0), limit)
        in_front = image[..., 2].max(axis=1) > _NEAR
        return np.concatenate([low, high], axis=1), in_front & (high - low > 1.0).all(axis=1)

    def column_derivative(self, points: Array) -> Array:
        """Return the derivative of the pixel column by x and y of (N, 3) points, (N, 2) px/m."""
        image = points @ self.matrix[:, :3].T + self.matrix[:, 3]
        depth = np.maximum(image[:, 2:], _NEAR)
        return (self.matrix[0, :2] - image[:, :1] / depth * self.matrix[2, :2]) / depth

    def touches_edge(self, boxes: Array) -> NDArray[np.bool_]:
        """Return (K, 4) which of left, top, right, bottom of the image each box touches."""
        low = boxes[:, :2] <= _EDGE
        high = boxes[:, 2:] >= (self.width - _EDGE, self.height - _EDGE)
        return np.concatenate([low, high], axis=1)

    def locate(
        self,
        boxes: Array,
        heights: Array,
        height_errors: Array,
        *,
        ground_z: float,
        pixel_noise: float,
        slope_noise: float,
    ) -> Located:
        """Estimate where things stand from their image boxes alone.

        Two ways, the surer one for each box: the foot of the box on the ground, and the size of
        the image of a thing of known height. Both need the foot in the image; the second the
        top as well.

        Args:
            boxes: (K, 4) x1 y1 x2 y2, pixels.
            heights: (K,) usual height of the class, m; NaN where unknown.
            height_errors: (K,) standard deviation of it, m.
            ground_z: Height of the ground in the fixed frame, m.
            pixel_noise: Standard deviation of a box edge, pixels.
            slope_noise: Standard deviation of the ground's slope against the camera, rad.
        """
        cut = self.touches_edge(boxes)
        focal = self.projection[1, 1]
        middle = (boxes[:, 0] + boxes[:, 2]) / 2
        foot = self.rays(np.stack([middle, boxes[:, 3]], axis=1))
        flat = np.hypot(foot[:, 0], foot[:, 1])  # horizontal metres per metre of depth
        level = self.origin[2] - ground_z

        with np.errstate(divide="ignore", invalid="ignore"):
            by_ground = np.where(foot[:, 2] < 0.0, -level / foot[:, 2], np.nan)
            distance = by_ground * flat
            ground_error = distance**2 / level * np.hypot(pixel_noise / focal, slope_noise)
            tall = boxes[:, 3] - boxes[:, 1]
            by_height = focal * heights / tall
            relative = np.hypot(height_errors / heights, 1.4 * pixel_noise / tall)
            height_error = by_height * flat * relative
        ground_error[~np.isfinite(ground_error) | cut[:, 3] | (level <= 0.0)] = np.inf
        height_error[~np.isfinite(height_error) | cut[:, 3] | cut[:, 1]] = np.inf

        use_ground = ground_error <= height_error
        depth = np.where(use_ground, by_ground, by_height)
        error = np.minimum(ground_error, height_error)
        valid = np.isfinite(error) & np.isfinite(depth)
        depth, error = np.where(valid, depth, 1.0), np.where(valid, error, 1.0)
        return replace(self._at(foot, depth, error / flat, pixel_noise), valid=valid)

    def at_depths(self, boxes: Array, depths: Array, *, pixel_noise: float) -> Located:
        """Return where things of measured depth stand.

        Args:
            boxes: (K, 4) x1 y1 x2 y2, pixels.
            depths: (K, 2) of their centres along the optical axis, and its standard deviation, m;
                no estimate where either is not finite and positive.
            pixel_noise: Standard deviation of a box edge, pixels.
        """
        valid = np.asarray((np.isfinite(depths) & (depths > 0.0)).all(axis=1))
        depth, error = np.where(valid[:, None], depths, 1.0).T
        centers = self.rays((boxes[:, :2] + boxes[:, 2:]) / 2)
        return replace(self._at(centers, depth, error, pixel_noise), valid=valid)

    def _at(self, rays: Array, depth: Array, error: Array, pixel_noise: float) -> Located:
        """Return the places (K, 2) along rays of depth 1, with the errors of depth and pixel."""
        flat = np.hypot(rays[:, 0], rays[:, 1])
        along = rays[:, :2] / flat[:, None]
        across = along[:, ::-1] * (-1.0, 1.0)
        side_error = depth * pixel_noise / self.projection[0, 0]
        covariances = (error * flat)[:, None, None] ** 2 * along[:, :, None] * along[
            :, None, :
        ] + side_error[:, None, None] ** 2 * across[:, :, None] * across[:, None, :]
        positions = self.origin[:2] + depth[:, None] * rays[:, :2]
        return Located(positions, covariances, np.ones(len(rays), bool))
