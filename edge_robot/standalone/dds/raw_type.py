"""The type under which ready CDR bytes pass through Cyclone DDS's Python binding."""

from __future__ import annotations

from functools import cache

TYPE_INFORMATION = bytes.fromhex(
    "6000000001100040280000002400000014000000f1b7667ab224893a0c73d444735ff10018000000"
    "00000000040000000000000002100040280000002400000014000000f25af986862bc7b5002ac29c"
    "e0ec9c002c000000000000000400000000000000"
)
"""XTypes' TypeInformation of the empty structure `edge_robot::Raw`; making it costs 30 ms."""

TYPE_MAP = bytes.fromhex(
    "2c00000001000000f1b7667ab224893a0c73d444735ff10014000000f15101000100000000000000"
    "04000000000000004000000001000000f25af986862bc7b5002ac29ce0ec9c0028000000f2510100"
    "180000000000000010000000656467655f726f626f743a3a52617700040000000000000022000000"
    "01000000f25af986862bc7b5002ac29ce0ec9cf1b7667ab224893a0c73d444735ff1"
)
"""XTypes' TypeMapping of the same."""

_KEYLESS = 0
_XCDR_1_AND_2 = 5


class RawType:
    """Stands for a type whose samples are passed as ready CDR bytes.

    The binding wants XTypes information for every topic; as real ROS 2 nodes offer none, the
    information of one empty structure serves for all and matching goes by type name. The names of
    the attributes are the binding's.
    """

    data_type_props = _KEYLESS
    supported_versions = _XCDR_1_AND_2
    _xt_bytedata = TYPE_INFORMATION, TYPE_MAP

    def __init__(self, name: str) -> None:
        self.idl_transformed_typename = name

    @property
    def __idl__(self) -> RawType:
        return self


@cache
def raw_type(name: str) -> RawType:
    """Return the one and only raw type of a DDS type name.

    The binding takes every new object for another type but gives all of one name the same hash;
    Cyclone's table of types then grows beyond all memory at the 33rd topic of one type.
    """
    return RawType(name)
