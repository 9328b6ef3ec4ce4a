from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_robot.errors import UserError
from edge_robot.sim.flat.gazebo_world import read_world
from edge_robot.sim.flat.generator import FREE_RADIUS, generate, way_through
from edge_robot.sim.flat.world import World, read_json

MODEL = """<model name='m{n}'><pose frame=''>{x} {y} 0 0 0 0</pose><link name='link'>
<collision name='c'><geometry><cylinder><radius>{r}</radius><length>1</length></cylinder>
</geometry></collision></link></model>"""
GROUND = """<model name='ground_plane'><link name='l'><collision name='c'><geometry><plane>
<normal>0 0 1</normal></plane></geometry></collision></link></model>"""


def sdf(*models: str) -> str:
    return f"<sdf version='1.6'><world name='default'>{''.join(models)}</world></sdf>"


def test_a_world_survives_its_file(passage: World, tmp_path: Path) -> None:
    passage.save(tmp_path / "world.json")
    again = read_json(tmp_path / "world.json")
    np.testing.assert_array_equal(again.cylinders, passage.cylinders)
    assert (again.number, again.start, again.goal) == (7, passage.start, passage.goal)
    assert again.path_length == pytest.approx(4.0)
    assert again.goal_from_start == pytest.approx((4.0, 0.0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cylinders": []}, "0 cylinders"),
        ({"cylinders": [[0, 0, -1]]}, "radii"),
        ({"cylinders": [[float("nan"), 0, 1]]}, "cylinders must be"),
        ({"start": [0, 0]}, "no world"),
        ({"goal": None}, "no world|one goal|numbers"),
        ({"timeout": 0}, "positive"),
    ],
)
def test_a_file_that_is_no_world_is_refused_by_name(
    passage: World, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    file = tmp_path / "world_7.json"
    passage.save(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=says) as refusal:
        read_json(file)
    assert "world_7.json" in str(refusal.value)


def test_gazebos_worlds_are_read_with_their_path(tmp_path: Path) -> None:
    file = tmp_path / "world_12.world"
    file.write_text(sdf(GROUND, MODEL.format(n=0, x=-1.0, y=6.0, r=0.075)))
    found = read_world(file)
    assert found.number == 12
    np.testing.assert_array_equal(found.cylinders, [[-1.0, 6.0, 0.075]])
    assert found.path_length == pytest.approx(10.0, abs=0.15)
    (tmp_path / "path_files").mkdir()
    np.save(tmp_path / "path_files" / "path_12.npy", np.array([[16, 0], [16, 29]]))
    np.testing.assert_allclose(read_world(file).path, [[-2.175, 5.075], [-2.175, 9.425]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<!DOCTYPE sdf>" + sdf(GROUND), "document type"),
        (sdf(MODEL.format(n=0, x="nan", y=0, r=1)), "must be numbers"),
        (sdf(MODEL.replace("cylinder>", "box>").format(n=0, x=0, y=0, r=1)), "m0 is no cylinder"),
        (sdf(MODEL.replace("0 0 0 0<", "0 0.5 0 0<").format(n=0, x=0, y=0, r=1)), "tilted"),
        (sdf(GROUND), "0 cylinders"),
        ("<sdf/>", "no <sdf><world>"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "world_1.world"
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        read_world(file)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 600), st.binary(max_size=8))
def test_a_damaged_file_is_refused_or_read_never_a_crash(
    tmp_path: Path, at: int, junk: bytes
) -> None:
    whole = sdf(GROUND, MODEL.format(n=0, x=-1.0, y=6.0, r=0.075)).encode()
    file = tmp_path / "world_1.world"
    file.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    with suppress(UserError):
        assert len(read_world(file).cylinders) == 1
    file = file.with_suffix(".json")
    file.write_bytes(junk * 3)
    with pytest.raises(UserError):
        read_json(file)


def test_generated_worlds_repeat_differ_and_let_the_robot_through() -> None:
    for number in range(6):
        world = generate(number)
        np.testing.assert_array_equal(world.cylinders, generate(number).cylinders)
        points = np.vstack((world.start[:2], world.path, world.goal))
        steps = np.hypot(*np.diff(points, axis=0).T)
        assert steps.max() < 0.33
        away = np.hypot(*(points[:, None] - world.cylinders[None, :, :2]).T)
        assert (away.T - world.cylinders[:, 2]).min() >= FREE_RADIUS - 0.11
    assert len({len(generate(number).cylinders) for number in range(6)}) > 3


def test_no_way_is_said() -> None:
    turn = np.linspace(0.0, 2 * np.pi, 40)
    ring = np.column_stack((2 * np.cos(turn), 2 * np.sin(turn), np.full_like(turn, 0.1)))
    with pytest.raises(UserError, match="no way"):
        way_through(ring, (0.0, 0.0), (0.0, 5.0))
