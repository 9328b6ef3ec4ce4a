"""Rays enter and leave MuJoCo's shapes where MuJoCo itself says, from wherever they come."""

from __future__ import annotations

import numpy as np
import pytest

from edge_robot.sim.gl import mujoco
from edge_robot.sim.intersections import KINDS, distances

SIZE = np.array([0.3, 0.5, 0.7])


@pytest.mark.parametrize("kind", KINDS)
def test_a_ray_meets_a_shape_where_mujoco_says(kind: int) -> None:
    name = mujoco.mjtGeom(kind).name.removeprefix("mjGEOM_").lower()
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><worldbody><geom type="{name}" size="0.3 0.5 0.7"/></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    rng = np.random.default_rng(3)
    origin, ray = rng.uniform(-1.0, 1.0, (2000, 3)), rng.normal(size=(2000, 3))
    ray[::4] *= np.eye(3)[rng.integers(0, 3, 500)]  # along an axis, too
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    found = distances(kind, origin.T, ray.T, np.repeat(SIZE[:, None], 2000, axis=1))
    geom, normal = np.zeros(1, np.int32), np.zeros(3)
    expected = np.array(
        [
            mujoco.mj_ray(model, data, start, along, None, True, -1, geom, normal)
            for start, along in zip(origin, ray, strict=True)
        ]
    )
    assert (expected >= 0.0).sum() > 30
    assert np.where(np.isfinite(found), found, -1.0) == pytest.approx(expected, abs=1e-9)
