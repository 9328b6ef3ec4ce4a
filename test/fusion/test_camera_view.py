"""Projection into the image, and range from the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.fusion.boxes import corners, cover, iou, range_to_boxes
from edge_robot.fusion.camera import CameraView

OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
PROJECTION = np.array([[286.0, 0, 240.0, 0], [0, 286.0, 180.0, 0], [0, 0, 1, 0]])


def view(
    x: float = 0.0, y: float = 0.0, z: float = 0.5, yaw: float = 0.0, shift: float = 0.0
) -> CameraView:
    """Return a level camera of 480×360 at x, y, z, looking along yaw."""
    pose = np.eye(4)
    cos, sin = np.cos(yaw), np.sin(yaw)
    pose[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ OPTICAL
    pose[:3, 3] = (x, y, z)
    projection = PROJECTION.copy()
    projection[0, 3] = shift
    return CameraView(projection, 480, 360, pose)


@given(
    yaw=st.floats(-3.1, 3.1),
    shift=st.floats(-60.0, 60.0),
    depth=st.floats(0.5, 30.0),
    side=st.floats(-0.5, 0.5),
    up=st.floats(-0.4, 0.4),
)
def test_rays_undo_projection(
    yaw: float, shift: float, depth: float, side: float, up: float
) -> None:
    camera = view(1.0, -2.0, 0.5, yaw, shift)
    optical = np.array([side * depth, up * depth, depth, 1.0])
    image = camera.projection @ optical
    pixel = image[:2] / image[2]
    point = (camera.fixed_from_optical @ optical)[:3]
    ray = camera.rays(pixel[None])[0]
    along = np.dot(point - camera.origin, ray) / np.dot(ray, ray)
    np.testing.assert_allclose(camera.origin + along * ray, point, atol=1e-9)


def test_box_projects_to_its_corners() -> None:
    center, size, yaw = np.array([[5.0, 1.0, 0.9]]), np.array([[0.6, 0.4, 1.7]]), np.array([0.7])
    camera = view(shift=20.0)
    rectangle, visible = camera.project_boxes(center, size, yaw)
    points = np.column_stack([corners(center, size, yaw)[0], np.ones(8)])
    image = points @ np.linalg.inv(camera.fixed_from_optical).T @ camera.projection.T
    pixels = image[:, :2] / image[:, 2:]
    assert visible[0]
    np.testing.assert_allclose(rectangle[0, :2], np.maximum(pixels.min(axis=0), 0.0))
    np.testing.assert_allclose(rectangle[0, 2:], np.minimum(pixels.max(axis=0), [480, 360]))


def test_what_is_behind_or_beside_is_not_in_view() -> None:
    centers = np.array([[-5.0, 0.0, 0.9], [2.0, 30.0, 0.9], [5.0, 0.0, 0.9]])
    _, visible = view().project_boxes(centers, np.full((3, 3), 0.5), np.zeros(3))
    assert visible.tolist() == [False, False, True]


def test_column_derivative_is_the_derivative() -> None:
    camera, step = view(yaw=0.4, shift=10.0), 1e-6
    points = np.array([[4.0, 1.0, 0.8], [7.0, 3.0, 0.2]])

    def column(at: np.ndarray) -> np.ndarray:
        image = at @ camera.matrix[:, :3].T + camera.matrix[:, 3]
        return image[:, 0] / image[:, 2]

    numeric = [
        (column(points + step * axis) - column(points - step * axis)) / (2 * step)
        for axis in np.eye(3)[:2]
    ]
    np.testing.assert_allclose(camera.column_derivative(points), np.transpose(numeric), rtol=1e-5)


@pytest.mark.parametrize("distance", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("height", [1.6, 1.72, 1.9])
def test_range_from_the_box_is_within_its_error(distance: float, height: float) -> None:
    camera = view(x=1.0, yaw=0.3)
    place = np.array([1.0 + distance * np.cos(0.3), distance * np.sin(0.3)])
    flat = np.array([[*place, height / 2]])
    box, _ = camera.project_boxes(flat, np.array([[0.02, 0.5, height]]), np.array([0.3]))
    found = camera.locate(
        box,
        np.array([1.72]),
        np.array([0.12]),
        ground_z=0.0,
        pixel_noise=4.0,
        slope_noise=0.01,
    )
    assert found.valid[0]
    error = found.positions[0] - place
    assert error @ np.linalg.solve(found.covariances[0], error) < 9.0
    assert np.hypot(*error) < 0.2 * distance


def test_no_range_without_the_foot() -> None:
    boxes = np.array([[200.0, 50.0, 280.0, 360.0], [200.0, 50.0, 280.0, 170.0]])
    found = view().locate(
        boxes,
        np.array([1.72, np.nan]),
        np.array([0.12, np.nan]),
        ground_z=0.0,
        pixel_noise=4.0,
        slope_noise=0.01,
    )
    # The first is cut off below; the second stands above the horizon and is of no known height.
    assert found.valid.tolist() == [False, False]
    assert np.isfinite(found.positions).all()


def test_range_to_the_nearest_face() -> None:
    centers = np.array([[10.0, 0.0, 1.0], [0.0, 5.0, 1.0], [0.2, 0.1, 1.0], [3.0, 4.0, 0.0]])
    sizes = np.array([[4.0, 2.0, 1.5], [4.0, 2.0, 1.5], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    yaws = np.array([0.0, np.pi / 2, 0.4, 0.0])
    found = range_to_boxes(np.zeros(2), centers, sizes, yaws)
    np.testing.assert_allclose(found, [8.0, 3.0, 0.0, np.hypot(2.0, 3.0)], atol=1e-12)


def test_overlaps() -> None:
    a = np.array([[0.0, 0, 2, 2], [5.0, 5, 5, 9]])
    b = np.array([[1.0, 1, 3, 3], [0.0, 0, 2, 2], [0.5, 0.5, 1, 1]])
    np.testing.assert_allclose(iou(a, b), [[1 / 7, 1.0, 1 / 16], [0, 0, 0]])
    np.testing.assert_allclose(cover(a, b), [[1 / 4, 1.0, 1.0], [0, 0, 0]])
