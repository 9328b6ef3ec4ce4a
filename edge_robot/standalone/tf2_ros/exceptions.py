"""Why a transform cannot be given."""

from __future__ import annotations


class TransformException(Exception):
    """Base of all of them."""


class LookupException(TransformException):
    """A frame does not exist."""


class ConnectivityException(TransformException):
    """Two frames are not connected."""


class ExtrapolationException(TransformException):
    """The time asked for is before or after all that is known."""


class InvalidArgumentException(TransformException):
    """A transform or a frame name makes no sense."""


class TimeoutException(TransformException):
    """The transform did not come in time."""
