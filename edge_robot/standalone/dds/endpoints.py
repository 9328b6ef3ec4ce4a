"""Writers and readers of ready CDR bytes."""

from __future__ import annotations

import ctypes as ct
from functools import partial
from typing import Any

from edge_robot.standalone.dds.library import ANY_STATE, check, lib
from edge_robot.standalone.dds.participant import Participant, entity_guid
from edge_robot.standalone.dds.qos import DdsQos, endpoint_qos

_NOT_READ = 2
_ANY_VIEW_AND_INSTANCE = 0x7C


class Writer:
    """Sends CDR bytes (with encapsulation header) on a DDS topic.

    Args:
        participant: Parent.
        topic: DDS topic name.
        type_name: DDS type name.
        qos: What is offered.
        user_data: USER_DATA announced in discovery.
    """

    def __init__(
        self,
        participant: Participant,
        topic: str,
        type_name: str,
        qos: DdsQos,
        user_data: bytes = b"",
    ) -> None:
        self._topic = topic
        dds_topic = participant.topic(topic, type_name)
        self._release_topic = partial(participant.release_topic, topic, type_name)
        with endpoint_qos(qos, user_data, writer=True) as c_qos:
            self.handle = lib.create_writer(participant.handle, dds_topic, c_qos, None)
        if self.handle < 0:
            self._release_topic()
            check(self.handle, f"creating a writer of {topic}")
        self.guid = entity_guid(self.handle)
        instance = ct.c_uint64()
        check(lib.get_instance_handle(self.handle, ct.byref(instance)), "reading a handle")
        self.instance_handle = instance.value

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send one sample.

        Raises:
            DdsError: it cannot be sent (closed writer, a full history of unacknowledged samples).
        """
        result = lib.ddspy_write(self.handle, data)
        if result < 0:
            check(result, f"writing to {self._topic}")

    def assert_liveliness(self) -> None:
        """Show a sign of life (manual liveliness)."""
        check(lib.assert_liveliness(self.handle), f"asserting liveliness on {self._topic}")

    def wait_for_acknowledgements(self, timeout: int) -> bool:
        """Wait until all reliable readers have everything, at most `timeout` ns; False if not."""
        return bool(lib.wait_for_acks(self.handle, timeout) == 0)

    def matched(self) -> list[int]:
        """Return the instance handles of the readers that get what is written."""
        return _handles(lib.get_matched_subscriptions, self.handle)

    def close(self) -> None:
        """End the writer."""
        handle, self.handle = self.handle, 0
        if handle:
            lib.delete(handle)
            self._release_topic()


class Reader:
    """Receives CDR bytes (with encapsulation header) from a DDS topic.

    `condition` is the handle to attach to a wait set: it is triggered while samples wait.
    """

    def __init__(
        self,
        participant: Participant,
        topic: str,
        type_name: str,
        qos: DdsQos,
        user_data: bytes = b"",
    ) -> None:
        self._topic = topic
        dds_topic = participant.topic(topic, type_name)
        self._release_topic = partial(participant.release_topic, topic, type_name)
        with endpoint_qos(qos, user_data, writer=False) as c_qos:
            self.handle = lib.create_reader(participant.handle, dds_topic, c_qos, None)
        if self.handle < 0:
            self._release_topic()
            check(self.handle, f"creating a reader of {topic}")
        self.condition = check(
            lib.create_readcondition(self.handle, _NOT_READ | _ANY_VIEW_AND_INSTANCE),
            f"creating a read condition for {topic}",
        )
        self.guid = entity_guid(self.handle)

    def take(self) -> tuple[bytes, Any] | None:
        """Return the oldest waiting sample and its `SampleInfo`, or None.

        Samples without data (a writer has gone) are dropped.
        """
        while handle := self.handle:
            samples = lib.ddspy_take(handle, ANY_STATE, 1)
            if isinstance(samples, int):
                if not self.handle:
                    return None  # closed by another thread
                check(samples, f"taking from {self._topic}")
            if not samples:
                return None
            data, info = samples[0]
            if info.valid_data:
                return data, info
        return None

    def matched(self) -> list[int]:
        """Return the instance handles of the writers that are heard."""
        return _handles(lib.get_matched_publications, self.handle)

    def close(self) -> None:
        """End the reader."""
        handle, self.handle = self.handle, 0
        if handle:
            lib.delete(handle)
            self._release_topic()
            self.condition = 0


def _handles(function: Any, entity: int) -> list[int]:
    """Call a function that fills an array, with an array that is large enough."""
    size = 16
    while True:
        found = (ct.c_uint64 * size)()
        count = check(function(entity, found, size), "listing matched endpoints")
        if count <= size:
            return list(found[:count])
        size = count
