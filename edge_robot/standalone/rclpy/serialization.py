"""Messages to and from their serialized form."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.interfaces.codec import codec


def serialize_message(message: Any) -> bytes:
    """Return a message's CDR bytes."""
    return bytes(codec(type(message)).write(message))


def deserialize_message(serialized_message: bytes, message_type: Any) -> Any:
    """Return the message of CDR bytes.

    Raises:
        CdrError: they are no such message.
    """
    return codec(message_type).read(bytes(serialized_message))
