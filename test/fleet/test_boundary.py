"""Nothing leaves the robot but what the policy permits."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_robot
from edge_robot.errors import UserError
from edge_robot.fleet.boundary import Boundary, Cleared, Data, Picture, Regions, Withheld
from edge_robot.fleet.privacy_policy import Kind, Level, PrivacyPolicy, Tier, read_policy
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected
from edge_robot.share import share_dir

NAMES = ("person", "box")
WIDTH, HEIGHT = 100, 120
NOISE = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
PERSON = (40.0, 40.0, 60.0, 80.0)


def found(*rows: tuple[tuple[float, ...], int]) -> Detections:
    return Detections(
        np.array([box for box, _ in rows], np.float32).reshape(-1, 4),
        np.full(len(rows), 0.9, np.float32),
        np.array([class_id for _, class_id in rows], np.int64),
        NAMES,
    )


def policy(level: Level = Level.RAW, **rules: Any) -> PrivacyPolicy:
    return PrivacyPolicy(dict.fromkeys(Tier, level), **rules)


def clear(
    rules: PrivacyPolicy, seen: Detections | None, expected: Expected | None = None
) -> Cleared[Any] | Withheld:
    return Boundary(rules).clear(Kind.DETECT, Picture(NOISE, seen, expected), Tier.FOG)


def reason(result: Cleared[Any] | Withheld) -> str:
    return result.reason if isinstance(result, Withheld) else ""


def test_rules_about_size_zone_and_class() -> None:
    person, box = found((PERSON, 0)), found((PERSON, 1))
    for seen in (person, box, found(), None):
        assert reason(clear(policy(), seen)) == ""

    small = policy(max_protected_height=0.3)
    assert "too large" in reason(clear(small, person))
    assert reason(clear(small, box)) == reason(clear(small, found())) == ""

    zone = policy(protected_zones=((0.0, 0.0, 0.5, 1.0),))
    assert "zone" in reason(clear(zone, person))
    assert reason(clear(zone, found(((50, 10, 60, 60), 0)))) == ""

    permitted = policy(permitted_classes=("box",))
    assert "not permitted" in reason(clear(permitted, person))
    assert reason(clear(permitted, box)) == ""

    nowhere = found(((np.nan, 0, 10, 10), 0))
    assert "nowhere" in reason(clear(policy(Level.BLURRED), nowhere))


@pytest.mark.parametrize(
    "rules",
    [
        policy(max_protected_height=0.5),
        policy(protected_zones=((0, 0, 1, 1),)),
        policy(permitted_classes=("box",)),
        policy(Level.BLURRED),
        policy(Level.CROPS),
    ],
)
def test_with_any_rule_an_image_nobody_looked_at_stays_on_board(rules: PrivacyPolicy) -> None:
    assert "not looked at" in reason(clear(rules, None))
    regions = Regions(Picture(NOISE, None), np.array([[0, 0, 9, 9]]))
    assert isinstance(Boundary(rules).clear(Kind.DETECT, regions, Tier.FOG), Withheld)


def boxes(draw: st.DrawFn) -> tuple[float, ...]:
    x, y = draw(st.floats(-20, WIDTH)), draw(st.floats(-20, HEIGHT))
    return x, y, x + draw(st.floats(1, 90)), y + draw(st.floats(1, 90))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[tuple[tuple[float, ...], int]], np.ndarray]:
    rows = [(boxes(draw), draw(st.integers(0, 1))) for _ in range(draw(st.integers(0, 4)))]
    left, top = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    right, bottom = draw(st.integers(left + 1, WIDTH)), draw(st.integers(top + 1, HEIGHT))
    return rows, np.array([[left, top, right, bottom]])


def inside(rows: list[tuple[tuple[float, ...], int]]) -> np.ndarray:
    """Return where protected objects are, as pixels whose centre is in a box, (H, W)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    result = np.zeros((HEIGHT, WIDTH), bool)
    for (x1, y1, x2, y2), class_id in rows:
        result |= (class_id == 0) & (x > x1) & (x < x2) & (y > y1) & (y < y2)
    return result


@given(scenes(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_pixel_of_a_protected_object_passes_below_the_level_for_it(
    scene: tuple[list[tuple[tuple[float, ...], int]], np.ndarray], only_expected: bool
) -> None:
    rows, region = scene
    if only_expected:
        labels = tuple(NAMES[class_id] for _, class_id in rows)
        table = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
        picture = Picture(NOISE, found(), Expected(table, labels, np.ones(len(rows), np.float32)))
    else:
        picture = Picture(NOISE, found(*rows))
    protected = inside(rows)
    persons = sum(class_id == 0 for _, class_id in rows)

    boundary = Boundary(policy(Level.BLURRED))
    whole = boundary.clear(Kind.DETECT, picture, Tier.FOG)
    assert isinstance(whole, Cleared) and whole.level is Level.BLURRED
    passed = (whole.value == NOISE).all(axis=2) & protected
    assert passed.sum() <= persons  # of one at the edge, a single pixel is its own mean
    assert len(np.unique(whole.value[protected], axis=0)) <= 32 * persons

    parts = boundary.clear(Kind.DETECT, Regions(picture, region), Tier.FOG)
    assert isinstance(parts, Cleared)
    left, top, right, bottom = region[0]
    (crop,) = parts.value
    np.testing.assert_array_equal(crop.pixels, whole.value[top:bottom, left:right])

    sharp = Boundary(policy(Level.CROPS))
    assert sharp.clear(Kind.DETECT, picture, Tier.FOG).value.tobytes() == whole.value.tobytes()
    part = sharp.clear(Kind.DETECT, Regions(picture, region), Tier.FOG)
    np.testing.assert_array_equal(part.value[0].pixels, NOISE[top:bottom, left:right])

    strict = Boundary(policy(Level.CROPS, max_protected_height=0.0))
    part = strict.clear(Kind.DETECT, Regions(picture, region), Tier.FOG)
    assert isinstance(part, Withheld) or not protected[top:bottom, left:right].any()


def test_a_small_person_is_one_flat_patch_and_all_else_is_as_it_was() -> None:
    before = NOISE.copy()
    result = clear(policy(Level.BLURRED), found(((50, 50, 57, 60), 0), ((0, 0, 20, 20), 1)))
    assert isinstance(result, Cleared)
    np.testing.assert_array_equal(NOISE, before)
    assert len(np.unique(result.value[50:60, 50:57].reshape(-1, 3), axis=0)) == 1
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[48:62, 48:59] = False
    np.testing.assert_array_equal(result.value[outside], NOISE[outside])


def test_each_tier_and_kind_has_its_level_and_all_is_counted() -> None:
    boundary = Boundary(
        PrivacyPolicy(
            {Tier.FOG: Level.RAW, Tier.CLOUD: Level.FEATURES},
            {(Tier.CLOUD, Kind.TELEMETRY): Level.METADATA},
        )
    )
    picture, boxes = Picture(NOISE, found()), Data([1, 2], Level.FEATURES)
    assert boundary.clear(Kind.DETECT, picture, Tier.FOG).value is NOISE
    assert "features" in reason(boundary.clear(Kind.DETECT, picture, Tier.CLOUD))
    assert boundary.clear(Kind.PLAN, boxes, Tier.CLOUD).value == [1, 2]
    assert "metadata" in reason(boundary.clear(Kind.TELEMETRY, boxes, Tier.CLOUD))
    assert boundary.counts() == {
        (Tier.FOG, Kind.DETECT, ""): 1,
        (Tier.CLOUD, Kind.DETECT, "images: no more than features may leave"): 1,
        (Tier.CLOUD, Kind.PLAN, ""): 1,
        (Tier.CLOUD, Kind.TELEMETRY, "features: no more than metadata may leave"): 1,
    }


def test_stored_images_leave_under_the_policy_they_were_cleared_under_only() -> None:
    blurring = Boundary(policy(Level.BLURRED))
    cleared = blurring.clear(Kind.HARD_EXAMPLE, Picture(NOISE, found()), Tier.CLOUD)
    assert isinstance(cleared, Cleared)
    stored = Data(b"jpeg", cleared.level, cleared.policy)
    assert blurring.clear(Kind.HARD_EXAMPLE, stored, Tier.CLOUD).value == b"jpeg"
    stricter = Boundary(policy(Level.BLURRED, max_protected_height=0.1))
    assert "another policy" in reason(stricter.clear(Kind.HARD_EXAMPLE, stored, Tier.CLOUD))
    unseen = Data(b"mcap", Level.RAW)
    assert "looked at" in reason(
        Boundary(policy(Level.RAW, max_protected_height=0.1)).clear(
            Kind.RECORDING, unseen, Tier.FOG
        )
    )
    assert Boundary(policy()).clear(Kind.RECORDING, unseen, Tier.FOG).value == b"mcap"


def test_nothing_but_the_boundary_can_say_that_something_is_cleared() -> None:
    cleared = clear(policy(Level.BLURRED), found())
    assert isinstance(cleared, Cleared)
    with pytest.raises(TypeError, match="only Boundary"):
        Cleared(NOISE, Kind.DETECT, Tier.FOG, Level.RAW, "", object())
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(cleared, value=NOISE)
    for file in Path(edge_robot.__file__).parent.rglob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(file.read_text())) if hasattr(node, "id")}
        assert "_SEAL" not in names or file.name == "boundary.py", file


def test_the_policy_that_is_shipped_is_sound_and_blurs_people_for_the_cloud() -> None:
    shipped = read_policy(share_dir() / "config" / "privacy.yaml")
    assert shipped.level(Tier.FOG, Kind.DETECT) is Level.RAW
    assert shipped.level(Tier.CLOUD, Kind.DETECT) is Level.BLURRED
    assert shipped.level(Tier.CLOUD, Kind.RECORDING) is Level.METADATA
    assert shipped.protected_classes == ("person",)


def test_a_policys_digest_is_what_it_says_not_how() -> None:
    kinds = {(Tier.FOG, Kind.PLAN): Level.FEATURES, (Tier.CLOUD, Kind.EVENT): Level.METADATA}
    levels = {Tier.FOG: Level.RAW, Tier.CLOUD: Level.BLURRED}
    first = PrivacyPolicy(levels, kinds, permitted_classes=("box", "person"))
    same = PrivacyPolicy(
        dict(reversed(levels.items())),
        {**dict(reversed(kinds.items())), (Tier.FOG, Kind.DETECT): Level.RAW},
        permitted_classes=("person", "box"),
    )
    assert first.digest == same.digest
    others = [
        dataclasses.replace(first, kinds={}),
        dataclasses.replace(first, levels=dict.fromkeys(Tier, Level.RAW)),
        dataclasses.replace(first, protected_classes=()),
        dataclasses.replace(first, protected_zones=((0.0, 0.0, 1.0, 1.0),)),
        dataclasses.replace(first, max_protected_height=0.5),
        dataclasses.replace(first, permitted_classes=()),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == len(others) + 1


def test_what_a_policy_file_leaves_out_is_not_permitted(tmp_path: Path) -> None:
    file = tmp_path / "privacy.yaml"
    file.write_text("levels: {fog: {detect: raw}}\n")
    policy = read_policy(file)
    assert policy.level(Tier.FOG, Kind.DETECT) is Level.RAW
    assert policy.level(Tier.FOG, Kind.PLAN) is Level.METADATA
    assert policy.level(Tier.CLOUD, Kind.DETECT) is Level.METADATA


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("levels: {fogg: {default: raw}}", "'fogg' is none of fog, cloud"),
        ("levels: {fog: {frames: raw}}", "'frames' is none of detect, plan"),
        ("levels: {fog: {detect: everything}}", "'everything' is none of metadata"),
        ("levels: {fog: {detect: [raw]}}", r"\['raw'\] is none of metadata"),
        ("levels: raw", "'raw' where settings by name"),
        ("blur: true", "no such setting: blur"),
        ("max_protected_height: 2", "not in 0..1"),
        ("max_protected_height: tall", "'tall' is no number"),
        ("max_protected_height: .nan", "not in 0..1"),
        ("protected_zones: [[0, 0, 1]]", "four numbers"),
        ("protected_zones: [[0.5, 0, 0.2, 1]]", "left, top, right, bottom"),
        ("protected_zones: [0, 0, 1, 1]", "no list of list"),
        ("protected_classes: person", "'person' is no list of str"),
        ("{", "cannot read"),
        ("", "None where settings by name"),
    ],
)
def test_a_policy_file_that_makes_no_sense_is_refused(
    text: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "privacy.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_policy(file)
    assert str(file) in str(caught.value)
