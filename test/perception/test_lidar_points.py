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
    ],
)
def test_contradictions_are_named(
    fields: list[tuple[str, int, int]], sizes: dict[str, int], message: str
) -> None:
    described = {"width": 4, "height": 1, "point_step": 16, "row_step": 64} | sizes
    with pytest.raises(CloudError, match=message):
        read_points(bytes(64), fields, **described)


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
