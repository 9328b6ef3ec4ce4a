"""What discovery tells about endpoints elsewhere."""

from __future__ import annotations

from typing import Any

from cyclonedds._clayer import (
    ddspy_get_matched_publication_data,
    ddspy_get_matched_subscription_data,
    ddspy_read_endpoint,
)
from cyclonedds.builtin_types import cqos_to_qos, endpoint_constructor
from cyclonedds.qos import Policy

from edge_robot.standalone.dds.library import check, lib
from edge_robot.standalone.dds.participant import Participant

_PUBLICATIONS_TOPIC = 0x7FFF0003
_SUBSCRIPTIONS_TOPIC = 0x7FFF0004
_ALIVE = 16
"""Instance state of an endpoint that exists."""

_MAX_ENDPOINTS = 4096


def user_data(endpoint: Any) -> dict[str, str]:
    """Return an endpoint's USER_DATA: `key=value;` pairs."""
    policy = endpoint.qos[Policy.Userdata]
    text = b"" if policy is None else bytes(policy.data)
    pairs = (item.partition("=") for item in text.decode("utf-8", "replace").split(";"))
    return {key: value for key, separator, value in pairs if separator}


def matched_reader(writer: int, reader: int) -> Any:
    """Return the description of a reader (instance handle) matched with a writer; None if gone."""
    return ddspy_get_matched_subscription_data(writer, reader, endpoint_constructor, cqos_to_qos)


def matched_writer(reader: int, writer: int) -> Any:
    """Return the description of a writer (instance handle) matched with a reader; None if gone."""
    return ddspy_get_matched_publication_data(reader, writer, endpoint_constructor, cqos_to_qos)


class Discovery:
    """All endpoints known in a participant's domain, its own included."""

    def __init__(self, participant: Participant) -> None:
        self._readers = [
            check(
                lib.create_reader(participant.handle, topic, None, None), "reading discovery data"
            )
            for topic in (_PUBLICATIONS_TOPIC, _SUBSCRIPTIONS_TOPIC)
        ]

    def writers(self) -> list[Any]:
        """Return the writers as `cyclonedds.builtin_types.DcpsEndpoint`."""
        return self._read(self._readers[0])

    def readers(self) -> list[Any]:
        """Return the readers as `cyclonedds.builtin_types.DcpsEndpoint`."""
        return self._read(self._readers[1])

    @staticmethod
    def _read(reader: int) -> list[Any]:
        endpoints = ddspy_read_endpoint(reader, _MAX_ENDPOINTS, endpoint_constructor, cqos_to_qos)
        if isinstance(endpoints, int):
            check(endpoints, "reading discovery data")
        return [endpoint for endpoint in endpoints if endpoint.sample_info.instance_state == _ALIVE]
