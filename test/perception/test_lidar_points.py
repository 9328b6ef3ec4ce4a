"""Point clouds of any field layout, and of none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.lidar.points import CloudError, read_points

F32, F64, U16 = 7, 8, 4
XYZI = [("x", 0, F32), ("y", 4, F32), ("z", 8, F32), ("intensity", 12, F32)]


def test_packed_cloud() -> None:
    points = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = read_points(points.tobytes(), XYZI, width=3, height=1, point_step=16, row_step=48)
    np.testing.assert_array_equal(found, points)


def test_any_order_gaps_types_and_row_padding() -> None:
    layout = np.dtype(
        {
            "names": ["z", "ring", "x", "intensity", "y"],
            "formats": [">f8", ">u2", ">f4", ">u2", ">f8"],
            "offsets": [4, 12, 16, 20, 24],
            "itemsize": 40,
        }
    )
    cloud = np.zeros((2, 3), layout)
    for name in layout.names or ():
        cloud[name] = np.arange(6).reshape(2, 3) + len(name)
    rows = b"".join(row.tobytes() + b"\xff" * 24 for row in cloud)
    fields = [
        ("z", 4, F64),
        ("ring", 12, U16),
        ("x", 16, F32),
        ("intensity", 20, U16),
        ("y", 24, F64),
    ]
    found = read_points(
        rows, fields, width=3, height=2, point_step=40, row_step=144, big_endian=True
    )
    expected = np.column_stack([cloud[n].ravel() for n in ("x", "y", "z", "intensity")])
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_points_without_return_are_left_out() -> None:
    points = np.ones((4, 4), np.float32)
    points[1, 0] = np.nan
    points[2, 2] = np.inf
    points[3, 3] = np.nan
    found = read_points(points, XYZI, width=4, height=1, point_step=16, row_step=64)
    np.testing.assert_array_equal(found, [[1, 1, 1, 1], [1, 1, 1, 0]])


def test_no_intensity_and_no_points() -> None:
    assert read_points(b"", XYZI[:3], width=0, height=1, point_step=12, row_step=0).shape == (0, 3)


@pytest.mark.parametrize(
    ("fields", "sizes", "message"),
    [
        (XYZI[:2], {}, "no field z"),
        (XYZI, {"width": 5}, "promises"),
        ([*XYZI[:3], ("intensity", 14, F32)], {}, "outside"),
        ([*XYZI[:3], ("intensity", 12, 99)], {}, "datatype"),
        (XYZI, {"point_step": 0}, "0 bytes"),
        (XYZI, {"height": 2, "row_step": 8}, "row_step"),
        ([*XYZI, ("x", 0, F64)], {}, "more than once"),
        (XYZI, {"width": 2**32 - 1, "height": 2**32 - 1, "row_step": 2**32 - 1}, "row_step"),
        (XYZI, {"width": 2**31, "height": 2**31, "row_step": 2**36}, "promises"),
        (XYZI, {"width": 2**32 - 1}, "promises"),
    ],
)
def test_contradictions_are_named(
    fields: list[tuple[str, int, int]], sizes: dict[str, int], message: str
) -> None:
    described = {"width": 4, "height": 1, "point_step": 16, "row_step": 64} | sizes
    with pytest.raises(CloudError, match=message):
        read_points(bytes(64), fields, **described)


def test_coordinates_as_integers_and_rows_without_points() -> None:
    whole = np.array([(1, -2, 3), (-4, 5, -6)], np.dtype([(n, "<i4") for n in "xyz"]))
    fields = [(name, 4 * i, 5) for i, name in enumerate("xyz")]
    found = read_points(whole.tobytes(), fields, width=1, height=2, point_step=12, row_step=12)
    np.testing.assert_array_equal(found, [[1, -2, 3], [-4, 5, -6]])
    many = read_points(b"", fields, width=0, height=2**32 - 1, point_step=12, row_step=0)
    assert many.shape == (0, 3)


positions = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=200, deadline=None)
@given(
    points=st.lists(st.tuples(positions, positions, positions), min_size=1, max_size=12),
    order=st.permutations(["x", "y", "z", "intensity", "ring", "time"]),
    kinds=st.lists(st.sampled_from([("f4", F32), ("f8", F64)]), min_size=3, max_size=3),
    gaps=st.lists(st.integers(0, 5), min_size=7, max_size=7),
    rows=st.integers(1, 3),
    padding=st.integers(0, 9),
    big_endian=st.booleans(),
)
def test_every_layout_gives_the_same_points(
    points: list[tuple[float, float, float]],
    order: list[str],
    kinds: list[tuple[str, int]],
    gaps: list[int],
    rows: int,
    padding: int,
    big_endian: bool,
) -> None:
    """Whatever the order, gaps, types, byte order, rows and padding: what was written is read."""
    types = dict(zip("xyz", kinds, strict=True))
    types |= {"intensity": ("u1", 2), "ring": ("u2", U16), "time": ("f8", F64)}
    endian = ">" if big_endian else "<"
    offset, fields = gaps[6], []
    for name, gap in zip(order, gaps, strict=False):
        offset += gap
        fields.append((name, offset, types[name][1]))
        offset += np.dtype(types[name][0]).itemsize
    layout = np.dtype(
        {
            "names": order,
            "formats": [endian + types[name][0] for name in order],
            "offsets": [field[1] for field in fields],
            "itemsize": offset,
        }
    )
    width = -(-len(points) // rows)
    cloud = np.zeros((rows, width), layout)
    expected = np.zeros((rows * width, 4), np.float32)
    expected[: len(points), :3] = points
    expected[:, 3] = np.arange(rows * width)
    for column, name in enumerate(("x", "y", "z", "intensity")):
        cloud[name] = expected[:, column].reshape(rows, width)
    cloud["time"] = np.nan  # of no concern
    data = b"".join(row.tobytes() + b"\xa5" * padding for row in cloud)
    found = read_points(
        data,
        fields,
        width=width,
        height=rows,
        point_step=offset,
        row_step=width * offset + padding,
        big_endian=big_endian,
    )
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200),
    fields=st.lists(
        st.tuples(
            st.sampled_from(["x", "y", "z", "intensity", "ring"]),
            st.integers(-4, 40),
            st.integers(0, 10),
        ),
        max_size=6,
    ),
    width=st.integers(-2, 20),
    height=st.integers(-2, 4),
    point_step=st.integers(-4, 40),
    row_step=st.integers(-4, 200),
    big_endian=st.booleans(),
)
def test_arbitrary_headers_give_finite_points_or_a_cloud_error(**cloud: object) -> None:
    data, fields = cloud.pop("data"), cloud.pop("fields")
    try:
        points = read_points(data, fields, **cloud)  # type: ignore[arg-type]
    except CloudError:
        return
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
