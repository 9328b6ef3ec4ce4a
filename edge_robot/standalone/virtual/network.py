"""Writers and readers in one process, by DDS's rules and in virtual time.

Kept are the rules that a program can notice: matching by topic, type and contract, after a while
for discovery; keep-last and keep-all histories; what late joiners get; lifespans; missed deadlines;
leases of liveliness; and a latency per sample with jitter that never reorders one writer's samples.

Left out: best-effort loss (put it in by `Network.route`), flow control of reliable writers,
instances with keys, and partitions.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from edge_robot.standalone.dds import library
from edge_robot.standalone.dds.library import INFINITE
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.virtual.schedule import Schedule, Watchdog

if TYPE_CHECKING:
    from edge_robot.standalone.virtual.process import Process

PARTICIPANT_LEASE = 10_000_000_000
"""After this a process that was killed is forgotten, as Cyclone DDS does, ns."""

_DURABILITY, _DEADLINE, _LIVELINESS, _RELIABILITY = 2, 4, 8, 11
"""DDS's numbers of policies."""


def conflict(offered: DdsQos, requested: DdsQos) -> int:
    """Return the DDS number of a policy that keeps two endpoints apart; 0 if none does."""
    if requested.reliable and not offered.reliable:
        return _RELIABILITY
    if requested.transient_local and not offered.transient_local:
        return _DURABILITY
    if offered.deadline > requested.deadline:
        return _DEADLINE
    manual_wanted = requested.manual_liveliness and not offered.manual_liveliness
    if manual_wanted or offered.lease > requested.lease:
        return _LIVELINESS
    return 0


class Sample(NamedTuple):
    """What a writer sent; the names are those of `dds_sample_info_t` where it has them."""

    data: bytes
    source_timestamp: int  # ns since the epoch
    expires: int  # ns of the schedule
    publication_handle: int
    valid_data: bool = True


@dataclass(frozen=True)
class Passage:
    """A sample on its way, as whoever disturbs the traffic sees it.

    Attributes:
        topic: ROS topic.
        source: Name of the process that sent it; empty for the program that drives the world.
        target: Name of the process that will hear it.
        data: Its CDR bytes, with encapsulation header.
    """

    topic: str
    source: str
    target: str
    data: bytes


Route = Callable[[Passage], Iterable[tuple[float, bytes]]]
"""Gives for a passage what arrives instead: delays beyond the usual latency, s, and bytes."""


@dataclass(eq=False)
class Endpoint:
    """What writers and readers have in common.

    Attributes:
        handle: Its number.
        process: Whose it is; None for the program that drives the world.
        topic: DDS topic.
        type_name: DDS type.
        qos: Its contract.
        user_data: USER_DATA.
        mask: Events that are watched.
        occurred: Events that have not been taken.
        closed: Whether its process has closed it.
    """

    handle: int
    process: Process | None
    topic: str
    type_name: str
    qos: DdsQos
    user_data: bytes
    mask: int = 0
    occurred: int = 0
    closed: bool = False
    _statuses: dict[int, list[int]] = field(default_factory=dict)

    @property
    def gone(self) -> bool:
        """Whether it was closed, or its process ended without closing it."""
        return self.closed or (self.process is not None and self.process.ended)

    @property
    def triggered(self) -> bool:
        """Whether an event that is watched waits to be taken."""
        return bool(self.occurred & self.mask)

    def count(self, status: int, *steps: int) -> None:
        """Add to a status's numbers, which are pairs of a total and its change."""
        numbers = self._statuses.setdefault(status, [0] * (2 * len(steps)))
        for index, step in enumerate(steps):
            numbers[2 * index] += step
            numbers[2 * index + 1] += step
        self._occur(status)

    def refuse(self, status: int, policy: int) -> None:
        """Count an endpoint whose contract does not match."""
        total, change, _ = self._statuses.get(status, [0, 0, 0])
        self._statuses[status] = [total + 1, change + 1, policy]
        self._occur(status)

    def _occur(self, status: int) -> None:
        self.occurred |= status
        if self.mask & status and self.process is not None:
            self.process.wake(self.handle)

    def read_status(self, status: int) -> list[int]:
        """Return a status's numbers, totals before changes where DDS has them so; changes end."""
        numbers = self._statuses.get(status, [0] * 4)
        found = list(numbers)
        if status == library.LIVELINESS_CHANGED:
            found = [numbers[0], numbers[2], numbers[1], numbers[3]]
        for index in range(1, len(numbers), 2):
            numbers[index] = 0
        return found


@dataclass(eq=False)
class Writer(Endpoint):
    """A writer; `matched` are the readers that get what it writes."""

    matched: dict[Reader, int] = field(default_factory=dict)  # newest arrival planned
    alive: bool = True
    deadline: Watchdog | None = None
    lease: Watchdog | None = None

    def __post_init__(self) -> None:
        self.history: deque[Sample] = deque(maxlen=self.qos.depth or None)


@dataclass(eq=False)
class Reader(Endpoint):
    """A reader; `matched` are the writers it hears."""

    matched: dict[Writer, None] = field(default_factory=dict)
    condition: int = 0  # handle of what is triggered while samples wait
    deadline: Watchdog | None = None

    def __post_init__(self) -> None:
        self.cache: deque[Sample] = deque(maxlen=self.qos.depth or None)

    def take(self, now: int) -> Sample | None:
        """Return the oldest sample that waits and has not outlived its lifespan."""
        while self.cache:
            sample = self.cache.popleft()
            if sample.expires > now:
                if self.cache and self.process is not None:
                    self.process.wake(self.condition)
                return sample
        return None


class Network:
    """Carries samples between endpoints.

    Args:
        schedule: The time line.
        epoch: Time since the epoch when the schedule begins, ns.
        seed: Of the jitter.
        latency: Least latency and mean of what is added to it (exponential), s.
        discovery: Time until a new endpoint is known to the others, s.

    Attributes:
        route: Disturbs the traffic; None lets all pass.
    """

    def __init__(
        self,
        schedule: Schedule,
        epoch: int,
        seed: int,
        latency: tuple[float, float],
        discovery: float,
    ) -> None:
        self.schedule = schedule
        self.route: Route | None = None
        self._epoch = epoch
        self._random = random.Random(f"latency of {seed}")
        self._least = round(latency[0] * 1e9)
        self._rate = 1.0 / (latency[1] * 1e9)
        self._discovery = round(discovery * 1e9)
        self._writers: dict[str, list[Writer]] = {}
        self._readers: dict[str, list[Reader]] = {}
        self._digest = hashlib.blake2b(digest_size=16)

    def digest(self) -> str:
        """Return a fingerprint of all samples sent so far, their times and writers."""
        return self._digest.hexdigest()

    def endpoints(self, *, writers: bool) -> list[Endpoint]:
        """Return all that are discovered and exist."""
        known = self._writers if writers else self._readers
        return [one for among in known.values() for one in among if not one.gone]

    # Coming and going.

    def add(self, endpoint: Writer | Reader) -> None:
        """Let the others discover a new endpoint."""
        found = partial(self._discover, endpoint)
        self.schedule.at(self.schedule.now + self._discovery, found)

    def _discover(self, endpoint: Writer | Reader) -> None:
        if endpoint.gone:
            return
        topic = endpoint.topic
        if isinstance(endpoint, Writer):
            self._writers.setdefault(topic, []).append(endpoint)
            for reader in list(self._readers.get(topic, ())):
                self._match(endpoint, reader)
        else:
            self._readers.setdefault(topic, []).append(endpoint)
            for writer in list(self._writers.get(topic, ())):
                self._match(writer, endpoint)

    def _match(self, writer: Writer, reader: Reader) -> None:
        local = reader.qos.ignore_local and reader.process is writer.process
        if writer.gone or reader.gone or local or writer.type_name != reader.type_name:
            return
        if policy := conflict(writer.qos, reader.qos):
            reader.refuse(library.REQUESTED_INCOMPATIBLE_QOS, policy)
            writer.refuse(library.OFFERED_INCOMPATIBLE_QOS, policy)
            return
        writer.matched[reader] = self.schedule.now
        reader.matched[writer] = None
        writer.count(library.PUBLICATION_MATCHED, 1, 1)
        reader.count(library.SUBSCRIPTION_MATCHED, 1, 1)
        reader.count(library.LIVELINESS_CHANGED, int(writer.alive), int(not writer.alive))
        if writer.qos.transient_local and reader.qos.transient_local:
            for sample in writer.history:
                self._send(writer, reader, sample)

    def _part(self, writer: Writer, reader: Reader) -> None:
        writer.matched.pop(reader, None)
        reader.matched.pop(writer, None)
        writer.count(library.PUBLICATION_MATCHED, 0, -1)
        reader.count(library.SUBSCRIPTION_MATCHED, 0, -1)
        reader.count(library.LIVELINESS_CHANGED, -int(writer.alive), -int(not writer.alive))

    def remove(self, endpoint: Writer | Reader) -> None:
        """Let the others forget an endpoint, at once."""
        endpoint.closed = True
        endpoint.occurred = 0
        if isinstance(endpoint, Reader):
            endpoint.cache.clear()
        known = self._writers if isinstance(endpoint, Writer) else self._readers
        if endpoint in known.get(endpoint.topic, ()):
            known[endpoint.topic].remove(endpoint)  # type: ignore[arg-type]
        for other in list(endpoint.matched):
            if isinstance(endpoint, Writer):
                self._part(endpoint, other)  # type: ignore[arg-type]
            else:
                self._part(other, endpoint)  # type: ignore[arg-type]

    # Life of processes.

    def silenced(self, process: Process) -> None:
        """Note that a process was stopped or killed: its writers' leases run out."""
        now, pause = self.schedule.now, process.pauses
        for writer in self._of(process):
            lease = min(writer.qos.lease, PARTICIPANT_LEASE)
            self.schedule.at(now + lease, partial(self._lapse, writer, pause))
            if process.ended:
                self.schedule.at(now + PARTICIPANT_LEASE, partial(self.remove, writer))
        for reader in [r for among in self._readers.values() for r in among]:
            if reader.process is process and process.ended:
                self.schedule.at(now + PARTICIPANT_LEASE, partial(self.remove, reader))

    def revived(self, process: Process) -> None:
        """Note that a stopped process goes on."""
        for writer in self._of(process):
            if not writer.alive and not writer.qos.manual_liveliness:
                self._set_alive(writer, alive=True)

    def _of(self, process: Process) -> list[Writer]:
        return [w for among in self._writers.values() for w in among if w.process is process]

    def _lapse(self, writer: Writer, pause: int) -> None:
        process = writer.process
        assert process is not None
        if process.pauses == pause and (process.ended or process.stopped):
            self._set_alive(writer, alive=False)

    def _set_alive(self, writer: Writer, *, alive: bool) -> bool:
        """Tell readers of a change; return False: no watchdog need tell it twice."""
        if writer.closed or writer.alive == alive:
            return False
        writer.alive = alive
        step = 1 if alive else -1
        if not alive:
            writer.count(library.LIVELINESS_LOST, 1)
        for reader in writer.matched:
            reader.count(library.LIVELINESS_CHANGED, step, -step)
        return False

    def show_life(self, writer: Writer) -> None:
        """Assert the liveliness of a writer whose contract says that it does so itself."""
        if not writer.qos.manual_liveliness or writer.qos.lease == INFINITE:
            return
        self._set_alive(writer, alive=True)
        if writer.lease is None:
            expired = partial(self._set_alive, writer, alive=False)
            writer.lease = Watchdog(self.schedule, writer.qos.lease, expired)
        writer.lease.feed()

    # Samples.

    def write(self, writer: Writer, data: bytes) -> None:
        """Send a sample, at the time its process has come to."""
        time = self.schedule.now if writer.process is None else writer.process.work()
        if time > self.schedule.now:
            self.schedule.at(time, partial(self._emit, writer, data))
        else:
            self._emit(writer, data)

    def _emit(self, writer: Writer, data: bytes) -> None:
        process = writer.process
        if process is not None:
            if process.ended:
                return
            if process.stopped:
                process.held.append(partial(self._emit, writer, data))
                return
        now, lifespan = self.schedule.now, writer.qos.lifespan
        expires = INFINITE if lifespan == INFINITE else now + lifespan
        sample = Sample(data, self._epoch + now, expires, writer.handle)
        if writer.qos.transient_local:
            writer.history.append(sample)
        self._digest.update(f"{now} {writer.handle} {writer.topic}".encode())
        self._digest.update(data)
        self.show_life(writer)
        if writer.qos.deadline != INFINITE and writer.mask & library.OFFERED_DEADLINE_MISSED:
            if writer.deadline is None:
                missed = partial(self._missed, writer, library.OFFERED_DEADLINE_MISSED)
                writer.deadline = Watchdog(self.schedule, writer.qos.deadline, missed)
            writer.deadline.feed()
        for reader in writer.matched:
            self._send(writer, reader, sample)

    def _send(self, writer: Writer, reader: Reader, sample: Sample) -> None:
        latency = self._least + round(self._random.expovariate(self._rate))
        arrival = max(self.schedule.now + latency, writer.matched[reader])
        writer.matched[reader] = arrival
        if self.route is None:
            self.schedule.at(arrival, partial(self._arrive, reader, sample))
            return
        source, target = (one.process.name if one.process else "" for one in (writer, reader))
        passage = Passage(writer.topic.removeprefix("rt"), source, target, sample.data)
        for delay, data in self.route(passage):
            one = sample if data is sample.data else sample._replace(data=data)
            self.schedule.at(arrival + round(delay * 1e9), partial(self._arrive, reader, one))

    def _arrive(self, reader: Reader, sample: Sample) -> None:
        if reader.gone or sample.expires <= self.schedule.now:
            return
        reader.cache.append(sample)
        if reader.process is not None:
            reader.process.wake(reader.condition)
        if reader.qos.deadline != INFINITE and reader.mask & library.REQUESTED_DEADLINE_MISSED:
            if reader.deadline is None:
                missed = partial(self._missed, reader, library.REQUESTED_DEADLINE_MISSED)
                reader.deadline = Watchdog(self.schedule, reader.qos.deadline, missed)
            reader.deadline.feed()

    @staticmethod
    def _missed(endpoint: Endpoint, status: int) -> bool:
        if endpoint.gone:
            return False
        endpoint.count(status, 1)
        return True


def contract(fields: dict[str, int | bytes]) -> tuple[DdsQos, bytes]:
    """Return a contract and USER_DATA from what the `qset_…` functions were given."""
    user_data = fields.pop("user_data", b"")
    assert isinstance(user_data, bytes)
    return replace(DdsQos(depth=1, reliable=False), **fields), user_data  # type: ignore[arg-type]
