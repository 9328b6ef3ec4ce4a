"""A process's presence in a DDS domain."""

from __future__ import annotations

import ctypes as ct
import os
import socket
import threading
from collections.abc import Iterable
from html import escape  # quotes too; xml.sax would import an HTTP client

from edge_robot.errors import UserError
from edge_robot.standalone.dds.library import DdsError, check, lib
from edge_robot.standalone.dds.qos import participant_qos
from edge_robot.standalone.dds.raw_type import raw_type

MAX_PARTICIPANT_INDEX = 99
"""Highest port slot a process on one machine may take; peers on localhost probe all of them."""

_HEARTBEAT_INTERVAL = "350ms"
"""On one machine: after so long at most a reader learns that it missed the last sample of a topic,
or a request."""

_RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")


def domain_id() -> int:
    """Return the domain chosen by ROS_DOMAIN_ID (default 0).

    Raises:
        UserError: it is not a number from 0 to 232.
    """
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not text.isdecimal() or int(text) > 232:
        raise UserError(f"ROS_DOMAIN_ID is {text!r}: set it to a number from 0 to 232")
    return int(text)


def _addresses_towards(peers: Iterable[str]) -> list[str]:
    """Return this machine's own addresses on the way to other machines, as far as there is one."""
    found = set()
    for peer in peers:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((peer.strip(), 7400))  # sends nothing
            except OSError:
                continue  # Cyclone DDS will say so, if it is still so
            found.add(str(probe.getsockname()[0]))
    return sorted(address for address in found if not address.startswith("127."))


def domain_configuration() -> str:
    """Return Cyclone's configuration for the discovery settings of ROS 2's environment variables.

    Raises:
        UserError: ROS_AUTOMATIC_DISCOVERY_RANGE has no meaning.
    """
    scope = (os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or "SUBNET").upper()
    if scope not in _RANGES:
        raise UserError(
            f"ROS_AUTOMATIC_DISCOVERY_RANGE is {scope!r}: set it to one of {', '.join(_RANGES)}"
        )
    peers = [peer for peer in os.environ.get("ROS_STATIC_PEERS", "").split(";") if peer.strip()]
    if os.environ.get("ROS_LOCALHOST_ONLY") == "1":
        scope, peers = "LOCALHOST", []
    general = discovery = internal = ""
    if scope == "OFF":
        general += "<AllowMulticast>false</AllowMulticast>"
        discovery += "<ParticipantIndex>none</ParticipantIndex>"
        discovery += f"<Tag>ros_discovery_off_{os.getpid()}</Tag>"
    elif scope != "SYSTEM_DEFAULT":
        # A process that ends does not wait a second, per writer, for readers that died unnoticed.
        internal += "<WriterLingerDuration>100ms</WriterLingerDuration>"
        discovery += "<ParticipantIndex>auto</ParticipantIndex>"
        discovery += f"<MaxAutoParticipantIndex>{MAX_PARTICIPANT_INDEX}</MaxAutoParticipantIndex>"
        if scope == "LOCALHOST":
            # Unicast on the loopback interface: needs no multicast route there, and the nodes of
            # one robot keep talking to each other when its network interfaces go down.
            addresses = ["127.0.0.1", *_addresses_towards(peers)]
            interfaces = (f'<NetworkInterface address="{address}"/>' for address in addresses)
            general += f"<Interfaces>{''.join(interfaces)}</Interfaces>"
            if len(addresses) == 1:
                # Loopback takes whole UDP datagrams, so large samples need few fragments.
                general += "<MaxMessageSize>65500B</MaxMessageSize>"
                general += "<FragmentSize>63000B</FragmentSize>"
                # Who writes more rarely than every 0.8 of this is acknowledged for each sample. At
                # Cyclone's 100 ms every reader did so for every image, and every process for
                # every sign of life of all others (six a second for a lease of 200 ms). What a
                # full buffer on this machine refuses is asked for again at the next sample.
                internal += f"<HeartbeatInterval>{_HEARTBEAT_INTERVAL}</HeartbeatInterval>"
            general += "<AllowMulticast>false</AllowMulticast>"
            # As much as the kernel allows: an image is a burst of several hundred kilobytes.
            internal += '<SocketReceiveBufferSize max="4MB"/>'
            peers.insert(0, "127.0.0.1")
            # An announcement lost in the rush of a start is made good soon.
            discovery += "<SPDPInterval>2s</SPDPInterval>"
        if peers:
            listed = "".join(f'<Peer address="{escape(peer.strip())}"/>' for peer in peers)
            discovery += f"<Peers>{listed}</Peers>"
    own = (
        f"<CycloneDDS><Domain><General>{general}</General>"
        f"<Discovery>{discovery}</Discovery><Internal>{internal}</Internal></Domain></CycloneDDS>"
    )
    user = os.environ.get("CYCLONEDDS_URI")
    return f"{own},{user}" if user else own


class _Domains:
    """The domains this process has opened; a domain lives as long as its participants."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, tuple[int, int]] = {}

    def acquire(self, number: int) -> None:
        with self._lock:
            if number in self._open:
                handle, users = self._open[number]
            else:
                configuration = domain_configuration()
                handle = lib.create_domain(number, configuration.encode())
                if handle < 0:
                    raise UserError(
                        f"cannot join DDS domain {number}: check CYCLONEDDS_URI, ROS_STATIC_PEERS "
                        f"and the network interfaces ({lib.strretcode(handle).decode()})"
                    )
                users = 0
            self._open[number] = handle, users + 1

    def release(self, number: int) -> None:
        with self._lock:
            handle, users = self._open.pop(number)
            if users > 1:
                self._open[number] = handle, users - 1
            else:
                lib.delete(handle)


_domains = _Domains()


def entity_guid(entity: int) -> bytes:
    """Return the 16 bytes that name an entity on the network."""
    guid = (ct.c_uint8 * 16)()
    check(lib.get_guid(entity, guid), "reading a GUID")
    return bytes(guid)


class Participant:
    """A process's presence in a domain, parent of all its endpoints.

    Args:
        domain: Domain number.
        enclave: ROS 2 security enclave to announce.

    Raises:
        UserError: the domain cannot be joined.
    """

    def __init__(self, domain: int, enclave: str = "/") -> None:
        self.domain = domain
        self._topics: dict[tuple[str, str], tuple[int, int]] = {}
        self._lock = threading.Lock()
        _domains.acquire(domain)
        try:
            with participant_qos(f"enclave={enclave};".encode()) as qos:
                self.handle = check(
                    lib.create_participant(domain, qos, None), f"joining DDS domain {domain}"
                )
        except DdsError as error:
            _domains.release(domain)
            raise UserError(
                f"{error}; more than {MAX_PARTICIPANT_INDEX + 1} processes in this domain, "
                "or its ports are taken: choose another ROS_DOMAIN_ID"
            ) from error
        self.guid = entity_guid(self.handle)

    def topic(self, name: str, type_name: str) -> int:
        """Return the handle of a DDS topic; `release_topic` must follow, once for each call."""
        with self._lock:
            key = name, type_name
            handle, users = self._topics.get(key, (0, 0))
            if not users:
                handle = check(
                    lib.ddspy_topic_create(self.handle, name, raw_type(type_name), None, None),
                    f"creating the topic {name} of type {type_name}",
                )
            self._topics[key] = handle, users + 1
            return handle

    def release_topic(self, name: str, type_name: str) -> None:
        """Let go of a topic; it ends with its last user."""
        with self._lock:
            handle, users = self._topics.pop((name, type_name))
            if users > 1:
                self._topics[name, type_name] = handle, users - 1
            elif self.handle:
                lib.delete(handle)

    def close(self) -> None:
        """Leave the domain; all endpoints end."""
        if self.handle:
            lib.delete(self.handle)
            self.handle = 0
            _domains.release(self.domain)
