"""Cameras show what is there, alike by OpenGL and by ray casting, and say what draws them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_robot.errors import UserError
from edge_robot.sim import gl
from edge_robot.sim.camera import Camera
from edge_robot.sim.gl import mujoco
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.world import CLASSES, World, build_world


@pytest.fixture(scope="module")
def world(warehouse: Scenario) -> World:
    return build_world(warehouse)


@pytest.fixture(scope="module")
def rays(world: World) -> Camera:
    return Camera(world, 240, 180, backend="raycast")


@pytest.fixture(scope="module")
def opengl(world: World) -> Iterator[Camera]:
    if gl.choose_backend("auto") == "raycast":
        pytest.skip("no OpenGL library works on this machine")
    camera = Camera(world, 240, 180, backend="auto")
    yield camera
    camera.close()


def test_both_ways_of_drawing_show_the_same_things(
    world: World, opengl: Camera, rays: Camera
) -> None:
    compared = 0
    for x, y, yaw in ((2.0, 4.0, 0.4), (1.5, 8.0, 0.0), (28.0, 12.0, 3.0), (2.0, 12.0, -0.3)):
        world.place_robot(x, y, yaw)
        drawn, cast = opengl.segmentation(world.data), rays.segmentation(world.data)
        for thing in np.unique(world.geom_object):
            geoms = np.flatnonzero(world.geom_object == thing)
            a, b = np.isin(drawn, geoms), np.isin(cast, geoms)
            if b.sum() >= 400:
                compared += 1
                assert (a & b).sum() / (a | b).sum() > 0.9, world.object_names[thing]
    assert compared >= 15


def test_both_ways_of_drawing_look_alike(world: World, opengl: Camera, rays: Camera) -> None:
    world.place_robot(2.0, 4.0, 0.4)
    drawn, cast = opengl.render(world.data).astype(float), rays.render(world.data).astype(float)
    assert drawn.shape == cast.shape == (180, 240, 3)
    assert drawn.std() > 20.0
    assert np.abs(drawn - cast).mean() < 5.0


def test_opengl_draws_all_of_a_large_picture(world: World, opengl: Camera) -> None:
    world.place_robot(2.0, 4.0, 0.4)
    large = Camera(world, 960, 720, backend=opengl.backend)
    try:
        same = large.segmentation(world.data)[2::4, 2::4] == opengl.segmentation(world.data)
    finally:
        large.close()
    assert same.mean() > 0.9


def test_image_is_upright_and_colours_are_in_order(world: World, rays: Camera) -> None:
    world.place_robot(2.0, 4.0, 0.4)
    segmentation = rays.segmentation(world.data)
    floor, ceiling = 0, 1
    assert (segmentation[-1] == floor).mean() > 0.4
    assert (segmentation[0] == ceiling).mean() > 0.3
    carton = np.isin(world.model.geom_matid[segmentation], (3, 4, 5))
    red, _, blue = rays.render(world.data)[carton].mean(axis=0)
    assert red > blue + 20, "cartons are brown"


@pytest.mark.parametrize("way", ["opengl", "rays"])
def test_intrinsics_project_things_to_where_they_are_seen(
    world: World, way: str, request: pytest.FixtureRequest
) -> None:
    camera: Camera = request.getfixturevalue(way)
    count = len(world.scenario.people)
    side_by_side = 1.6 + 0.5 * (np.arange(count) % 3)
    place = np.column_stack([side_by_side, 10.0 + np.arange(count), np.zeros(count)])
    world.place_people(place, np.zeros(count), np.zeros(count))
    world.place_robot(2.0, 7.0, np.pi / 2)
    segmentation = camera.segmentation(world.data)
    number = world.model.camera("camera_front").id
    checked = 0
    for geom in np.unique(segmentation[segmentation >= 0]):
        rows, columns = np.nonzero(segmentation == geom)
        inside = rows.min() > 3 and rows.max() < 176 and columns.min() > 3 and columns.max() < 236
        # A sphere-like thing seen whole: its centre is in the middle of its pixels.
        if world.model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_ELLIPSOID or not inside:
            continue
        if np.ptp(rows) < 4:
            continue
        offset = world.data.geom_xpos[geom] - world.data.cam_xpos[number]
        right, up, back = world.data.cam_xmat[number].reshape(3, 3).T @ offset
        u, v, w = camera.intrinsics.matrix @ (right, -up, -back)
        assert (columns.min() + columns.max()) / 2 == pytest.approx(u / w, abs=3.0)
        assert abs((rows.min() + rows.max()) / 2 - v / w) < 8.0
        checked += 1
    assert checked >= 1


def test_horizontal_field_of_view_is_80_degrees(world: World) -> None:
    intrinsics = Camera(world, backend="raycast").intrinsics
    assert (intrinsics.width, intrinsics.height) == (480, 360)
    half = np.degrees(np.arctan(0.5 * 480 / intrinsics.fx))
    assert 2 * half == pytest.approx(80.0)
    assert (intrinsics.cx, intrinsics.cy) == (239.5, 179.5)


def test_fewer_rays_give_the_same_picture_of_the_same_size(world: World, rays: Camera) -> None:
    world.place_robot(2.0, 4.0, 0.4)
    coarse = Camera(world, 240, 180, backend="raycast", ray_stride=3)
    image, whole = coarse.render(world.data), rays.render(world.data)
    assert image.shape == whole.shape
    assert image.dtype == np.uint8
    # Shifted by a stride, it would differ more than where it is.
    error = np.abs(image.astype(float) - whole).mean()
    for shift in (-3, 3):
        for axis in (0, 1):
            assert error < np.abs(np.roll(image, shift, axis).astype(float) - whole).mean()
    same = coarse.segmentation(world.data) == rays.segmentation(world.data)
    assert same.mean() > 0.85


def test_collision_shapes_are_not_seen(world: World, rays: Camera) -> None:
    world.place_robot(2.0, 4.0, 0.4)
    seen = np.unique(rays.segmentation(world.data))
    assert (world.model.geom_group[seen[seen >= 0]] != 4).all()
    assert CLASSES.index("robot") not in world.geom_class[seen[seen >= 0]]


def test_bad_sizes_and_backends_are_refused(world: World) -> None:
    with pytest.raises(UserError, match="camera size 5×5"):
        Camera(world, 5, 5)
    with pytest.raises(UserError, match="'magic' is unknown"):
        Camera(world, backend="magic")


def test_a_backend_asked_for_by_name_is_never_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyOpenGL is bound to the platform named here, so the other one cannot work."""
    monkeypatch.setenv("PYOPENGL_PLATFORM", "egl")
    with pytest.raises(UserError, match="'osmesa' does not work"):
        Camera(world, backend="osmesa")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "wgl")
    assert gl.choose_backend("auto") == "raycast"


@pytest.mark.parametrize("value", ["disable", "raycast"])
def test_without_opengl_the_camera_draws_by_rays(value: str) -> None:
    """In a process that has never loaded an OpenGL library."""
    program = (
        "from edge_robot.sim.scenario import Scenario\n"
        "from edge_robot.sim.world import build_world\n"
        "from edge_robot.sim.camera import Camera\n"
        "world = build_world(Scenario.generate(2))\n"
        "camera = Camera(world, 120, 90)\n"
        "maps = open('/proc/self/maps').read()\n"
        "print(camera.backend, camera.render(world.data).std() > 20, 'libEGL' in maps)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MUJOCO_GL": value},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == ["raycast", "True", "False"]
