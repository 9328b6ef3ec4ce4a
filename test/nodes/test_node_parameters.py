"""A node's parameters: what is refused and why, what changes at once, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from edge_robot.errors import UserError
from edge_robot.nodes.parameters import LIVE, Parameters
from edge_robot.settings import Meaning, Settings, setting
from edge_robot.standalone.virtual import VirtualWorld


@dataclass(frozen=True)
class Speeds(Settings):
    """Settings with every kind of bound."""

    slow: float = setting(0.5, "m/s", ge=0.0, live=True)
    fast: float = setting(1.0, "m/s", ge=0.0, le=2.0, live=True)
    wheels: int = setting(2, "number of wheels", ge=1, le=8)
    drive: str = setting("front", "driven", one_of=("front", "rear"))
    gears: tuple[int, ...] = setting((1, 2), "ratios", ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slow > self.fast:
            raise UserError(f"slow is {self.slow}; give fast ({self.fast}) or less")


class Cart(Node):
    """A node that is configured when the test says so."""

    def __init__(self) -> None:
        super().__init__("cart")
        self.configured = False
        self.told = 0
        self.own = Parameters(self, lambda: self.configured, self._changed)
        self.speeds = self.own.settings(Speeds())
        self.name = self.own.parameter("name", "cart", Meaning("as people call it", live=True))
        self.axles = self.own.named_settings("axles", "its axles", {"front": Speeds()}, Speeds())

    def _changed(self) -> None:
        self.told += 1

    def set(self, **values: object) -> str:
        """Set all at once; return why not."""
        parameters = [
            Parameter(name.replace("__", "."), value=value) for name, value in values.items()
        ]
        return str(self.set_parameters_atomically(parameters).reason)


@pytest.fixture
def cart() -> Iterator[Cart]:
    with VirtualWorld():
        yield Cart()


def _cart(*arguments: str) -> Cart:
    given = [text for argument in arguments for text in ("-p", argument)]
    with VirtualWorld(arguments=["--ros-args", *given]):
        return Cart()


def test_descriptors_tell_range_choice_and_when_it_may_change(cart: Cart) -> None:
    slow, wheels, drive, gears = cart.describe_parameters(["slow", "wheels", "drive", "gears"])
    assert slow.floating_point_range[0].from_value == 0.0
    assert slow.floating_point_range[0].to_value > 1e300
    assert LIVE in slow.additional_constraints
    assert (wheels.integer_range[0].from_value, wheels.integer_range[0].to_value) == (1, 8)
    assert drive.additional_constraints == ("one of front, rear; read when the node is configured")
    assert "1 or more" in gears.additional_constraints


def test_values_from_outside_are_held_against_range_and_type() -> None:
    assert _cart("slow:=0.7", "front.wheels:=3").axles.value["front"].wheels == 3
    with pytest.raises(InvalidParameterValueException, match="wheels"):
        _cart("wheels:=9")
    with pytest.raises(InvalidParameterTypeException, match="fast"):
        _cart("fast:=1")  # a whole number is no float to ROS
    with pytest.raises(UserError, match="drive is 'sideways'; give one of front, rear"):
        _cart("drive:=sideways").speeds.value  # noqa: B018
    with pytest.raises(UserError, match="give fast"):
        _cart("slow:=1.5").speeds.value  # noqa: B018


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"fast": 2.5}, "out of range"),
        ({"fast": float("nan")}, "out of range"),
        ({"slow": float("inf")}, "out of range"),
        ({"gears": [1, 0]}, "give 1 or more"),
        ({"drive": "none"}, "one of front, rear"),
        ({"slow": 1.5}, "give fast"),
        ({"front__slow": 1.5}, "front.slow is 1.5"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(
    cart: Cart, values: dict[str, object], reason: str
) -> None:
    before = cart.speeds.value
    assert reason in cart.set(**values, name="other")
    assert cart.speeds.value == before
    assert cart.name.value == "cart"


def test_live_parameters_change_at_once_and_together(cart: Cart) -> None:
    cart.configured, before = True, cart.speeds.value
    assert cart.set(slow=1.5, fast=1.8) == ""
    assert cart.speeds.value == replace(before, slow=1.5, fast=1.8)
    assert cart.told == 1


def test_others_are_refused_while_the_node_is_configured(cart: Cart) -> None:
    cart.configured, before = True, cart.speeds.value
    assert "ros2 lifecycle set /cart cleanup" in cart.set(slow=0.6, wheels=4)
    assert cart.set(slow=0.5, wheels=2) == ""  # nothing would change
    assert cart.speeds.value == before
    assert cart.told == 0
    cart.configured = False
    assert cart.set(wheels=4) == ""
    assert cart.speeds.value.wheels == 4
    assert cart.told == 0


def test_a_new_name_brings_its_own_parameters(cart: Cart) -> None:
    assert cart.set(axles=["front", "rear"]) == ""
    assert cart.set(rear__wheels=4) == ""
    assert {name: axle.wheels for name, axle in cart.axles.value.items()} == {"front": 2, "rear": 4}
