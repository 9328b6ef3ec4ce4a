"""The backend at scale: the same models and the same scheduler, in replicas of Ray Serve.

The faces (gRPC and HTTP, tokens, TLS) stay the backend's own and call `RayScheduler` in place of
`Scheduler`. Ray Serve's own gRPC door would not do: it fails a request whose replica dies, knows
no tokens, sends every heartbeat through a replica, and cannot pickle the messages of
`tritonclient`. In each replica a `Scheduler` of its own decides what is computed next, so
deadlines, batches and refusals are the same as without Ray.

Ray is asked for here and nowhere else: `pip install 'edge_robot[ray]'`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.fleet.backend.fairness import Quota, Quotas
from edge_robot.fleet.backend.models import Model, Tensors, TensorSpec
from edge_robot.fleet.backend.scheduler import (
    FATES,
    ExpiredError,
    Limits,
    RefusedError,
    Result,
    Scheduler,
    counted,
    find_model,
    size_of,
)
from edge_robot.fleet.backend.serving import Models, ServerSettings, read_limits
from edge_robot.fleet.backend.serving import serve as serve_backend

# Requests go to a replica over gRPC, not by way of Ray's object store: 4 ms of CPU time less.
os.environ.setdefault("RAY_SERVE_USE_GRPC_BY_DEFAULT", "1")

try:
    import ray
    from ray import serve
    from ray.exceptions import ActorDiedError, ActorUnavailableError
except ImportError as error:
    raise UserError(
        f"the engine 'ray' needs Ray Serve: {error}; pip install 'edge_robot[ray]'"
    ) from error

APPLICATION = "edge_robot"
DEPLOYMENT = "models"

_GRACE = 10.0
"""Time for requests that are there when a door is taken down, s."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else uuid.uuid4().hex
"""The same in all processes that share a monotonic clock, and nowhere else."""

_LONGER, _SHORTER = 0.5, 0.02
"""Gains of the time to a replica and back: it is believed quickly when it grows."""

_ATTEMPTS = 3
"""Replicas that one request may see die."""

_RETRY_PAUSE = 0.02
"""Between a replica's death and the next attempt, s: time for Serve to take it off its list."""


@dataclass
class RemoteModel:
    """What is told of a model in a replica; see `edge_robot.fleet.backend.models.ServedModel`."""

    name: str
    version: str
    sha256: str
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_batch: int


@dataclass(frozen=True)
class _Computed:
    """A replica's answer."""

    outputs: Tensors
    queue_s: float
    service_s: float
    batch: int


class Replica:
    """Models in a process of their own.

    Args:
        load: Returns the models; called once in each replica.
        workers: Requests computed at once.
        limits: What this replica's scheduler permits.
    """

    def __init__(self, load: Callable[[], Sequence[Model]], workers: int, limits: Limits) -> None:
        self._scheduler = Scheduler(load(), workers=workers, limits=limits)

    async def describe(self) -> list[RemoteModel]:
        """Return what is served."""
        return [
            RemoteModel(m.name, m.version, m.sha256, m.platform, m.inputs, m.outputs, m.max_batch)
            for m in self._scheduler.models
        ]

    async def compute(
        self,
        model: str,
        version: str,
        inputs: Tensors,
        time_left: tuple[str, float, float],
        robot: str,
        priority: int,
    ) -> _Computed | Exception:
        """Compute a request; see `Scheduler.submit`.

        What becomes of a request is a value: Serve would wrap an exception, and log its trace.

        Args:
            model: Name of the model.
            version: Of the model.
            inputs: Its tensors.
            time_left: What tells the sender's clock from others, when it was sent by that clock,
                s, and how long after that its answer is of use, s.
            robot: Who asks.
            priority: As in `Scheduler.submit`.
        """
        clock, sent, left = time_left
        # Another machine's monotonic clock says nothing here: then the way is not counted.
        begun = sent if clock == _BOOT else time.monotonic()
        try:
            result = await self._scheduler.submit(
                model,
                version,
                inputs,
                expires=begun + left,
                robot=robot,
                priority=priority,
            )
        except tuple(FATES) as outcome:
            return outcome
        return _Computed(dict(result.outputs), result.queue_s, result.service_s, result.batch)


class RayScheduler:
    """Hands requests to replicas, as `Scheduler` does to threads; same errors, same `Result`.

    A request whose replica dies is given to another one: these models have no memory of requests.
    Not for ever, since it may be the request that kills them.

    Args:
        handle: Serve's handle of the deployment of `Replica`.
        models: What the replicas serve, as `Replica.describe` says.
        limits: Whose quotas are kept here, for all replicas together.

    Attributes:
        counts: Requests so far by fate, as in `Scheduler.counts`; `retried`: attempts lost with
            their replica.
    """

    def __init__(self, handle: Any, models: Sequence[RemoteModel], limits: Limits) -> None:
        self.counts: Counter[str] = Counter()
        self._handle = handle
        self._models = list(models)
        self._quotas = Quotas(limits.quota, limits.quotas)
        self._places: Counter[str] = Counter()
        # Time to a replica and back, s, as most requests need it: a replica has that much less
        # than is left here, so that nothing is computed whose answer would come too late.
        self._way = 0.0
        self._stopping = False

    @property
    def models(self) -> list[RemoteModel]:
        """The models that are served, by name and version."""
        return self._models

    @property
    def waiting(self) -> int:
        """Requests that are with the replicas."""
        return self._places.total()

    def find(self, name: str, version: str = "") -> RemoteModel:
        """Return what is known of a model; without a version, of the latest.

        Raises:
            UnknownModelError: it is not served.
        """
        return find_model(self._models, name, version)

    async def submit(
        self,
        model_name: str,
        version: str,
        inputs: Tensors,
        *,
        expires: float = math.inf,
        robot: str = "",
        priority: int = 0,
    ) -> Result:
        """Have a request computed by a replica; see `Scheduler.submit`.

        Raises:
            UnknownModelError: the model is not served.
            InvalidRequestError: the model cannot use these inputs.
            RefusedError: there is no room.
            ExpiredError: time ran out first.
        """
        with counted(self.counts):
            model = self.find(model_name, version)
            self._admit(robot, inputs)
            self._places[robot] += 1
            try:
                computed = await self._compute(expires, model, inputs, robot, priority)
            finally:
                self._places[robot] -= 1
                if not self._places[robot]:
                    del self._places[robot]
        return Result(computed.outputs, model, computed.queue_s, computed.service_s, computed.batch)

    def _admit(self, robot: str, inputs: Tensors) -> None:
        if self._stopping:
            raise RefusedError("the server is stopping")
        reason = self._quotas.refusal(robot, size_of(inputs), self._places[robot], time.monotonic())
        if reason:
            raise RefusedError(reason)

    async def _compute(
        self, expires: float, model: RemoteModel, inputs: Tensors, robot: str, priority: int
    ) -> _Computed:
        for _ in range(_ATTEMPTS):
            sent = time.monotonic()
            left = expires - sent
            if left <= 0.0:
                raise ExpiredError(f"expired {-left * 1e3:.0f} ms before it could be computed")
            # Half of it at least: an estimate that is too long must be tried to be mended.
            there = left - min(self._way, left / 2.0)
            response = self._handle.compute.remote(
                model.name, model.version, inputs, (_BOOT, sent, there), robot, priority
            )
            try:
                outcome = await asyncio.wait_for(response, None if left == math.inf else left)
            except (ActorDiedError, ActorUnavailableError):
                self.counts["retried"] += 1
                await asyncio.sleep(_RETRY_PAUSE)
                continue
            except asyncio.TimeoutError:
                response.cancel()
                raise ExpiredError("expired while it was with a replica") from None
            except asyncio.CancelledError:
                response.cancel()
                raise
            if isinstance(outcome, Exception):
                raise outcome
            way = time.monotonic() - sent - outcome.queue_s - outcome.service_s
            self._way += (_LONGER if way > self._way else _SHORTER) * (way - self._way)
            return outcome
        raise RuntimeError(f"{_ATTEMPTS} replicas died with this request; it is not tried again")

    async def drain(self, grace: float) -> None:
        """Refuse what is new from now on, and wait until all else is answered.

        Args:
            grace: Time after which no answer is waited for any more, s.
        """
        self._stopping = True
        end = time.monotonic() + grace
        while self._places and time.monotonic() < end:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Nothing is held here: the replicas are the `RayEngine`'s."""


class RayEngine:
    """Replicas of the models, on the cluster that `RAY_ADDRESS` names or one started here.

    Args:
        load: Returns the models; called in each replica, so it must be picklable, and what it
            reads be there on each machine of the cluster.
        options: Of the deployment, in Ray Serve's own words: `num_replicas`,
            `autoscaling_config`, `ray_actor_options` …
        workers: Requests that a replica computes at once; by default it asks Ray for as many
            cores.
        limits: What is permitted: quotas altogether, the rest in each replica.

    Attributes:
        scheduler: What the faces call.

    Raises:
        UserError: an option is unknown, or the replicas could not be started.
    """

    def __init__(
        self,
        load: Callable[[], Sequence[Model]],
        options: Mapping[str, Any],
        *,
        workers: int = 1,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        deployment = replicas(load, options, workers, limits)
        alone = "RAY_ADDRESS" not in os.environ  # else a cluster, which may grow
        # What robots do is nobody's business outside; Ray would report its use.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Only what computes yields to others, as without Ray; a replica's loop does not.
        os.environ.setdefault("RAY_worker_niceness", "0")
        try:
            ray.init(
                include_dashboard=False,
                logging_level="warning",
                log_to_driver=False,
                ignore_reinit_error=True,
            )
        except Exception as error:  # Ray has no class of its own for a node that does not start
            where = os.environ.get("RAY_ADDRESS", "on this machine")
            raise UserError(f"Ray cannot be used {where}: {error}") from error
        logging.getLogger("ray.serve").setLevel(logging.WARNING)  # a line for each cancellation
        if alone:
            _check_room(options, workers)
        try:
            # The faces are the door; Serve's own HTTP and gRPC proxies are not wanted.
            serve.start(proxy_location="Disabled")
            handle = serve.run(deployment, name=APPLICATION, route_prefix=None)
        except RuntimeError as error:
            reason = _reason() or str(error)
            self.close()
            raise UserError(f"Ray Serve could not start the models: {reason}") from error
        self.scheduler = RayScheduler(handle, handle.describe.remote().result(), limits)

    def close(self) -> None:
        """End the replicas, and the cluster if it was started here."""
        serve.delete(APPLICATION)
        ray.shutdown()


class Faces:
    """The backend's doors on one machine of a cluster.

    Args:
        handle: Serve's handle of the deployment of `Replica`.
        limits: Whose quotas are kept here: each door counts for itself.
        settings: Where to listen, and to whom.
    """

    def __init__(self, handle: Any, limits: Limits, settings: ServerSettings) -> None:
        def load() -> RayScheduler:
            return RayScheduler(handle, handle.describe.remote().result(), limits)

        self._backend = serve_backend(load, settings)

    def __del__(self) -> None:
        """Drain; Serve calls this when it takes the door down."""
        if hasattr(self, "_backend"):  # else it could not listen
            self._backend.stop(_GRACE)


def application(args: Mapping[str, Any]) -> Any:
    """Return the backend as an application of Ray Serve, for `serve deploy` and KubeRay.

    Its deployments are `models`, the replicas, and `faces`, the doors, one on a machine at most.

    Args:
        args: Of the application in Serve's configuration: `models` and `server` have fields of
            `Models` and of `ServerSettings`; `workers` are requests a replica computes at once;
            `limits` is a file of `Limits`.

    Raises:
        UserError: an argument is unknown, or the archive is asked for.
    """
    workers = int(args.get("workers", 1))
    try:
        models = Models(**{"copies": workers, **args["models"]})
        settings = ServerSettings(**args.get("server", {}))
    except (KeyError, TypeError) as error:
        raise UserError(f"arguments of the Ray application: {error}") from error
    if models.archive:
        raise UserError("the archive is one database: serve it by an embedded backend of its own")
    limits = read_limits(Path(args["limits"])) if "limits" in args else Limits()
    faces = serve.deployment(Faces, name="faces", max_replicas_per_node=1)
    return faces.bind(replicas(models, {}, workers, limits), limits, settings)


def replicas(
    load: Callable[[], Sequence[Model]], options: Mapping[str, Any], workers: int, limits: Limits
) -> Any:
    """Return the deployment of `Replica`, bound to its arguments; they are `RayEngine`'s.

    Raises:
        UserError: an option is unknown, or its value not allowed.
    """
    defaults = {
        # More than a replica's scheduler lets wait: it knows the deadlines, Serve's router does
        # not, so nothing may wait in front of it.
        "max_ongoing_requests": 2 * limits.waiting,
        "ray_actor_options": {"num_cpus": workers},
        "logging_config": {"enable_access_log": False},  # a line for every image
    }
    # A robot's quota is kept where all its requests pass.
    own = replace(limits, quota=Quota(places=limits.waiting), quotas={})
    try:
        bare = serve.deployment(Replica, name=DEPLOYMENT, **{**defaults, **options})
    except (TypeError, ValueError) as error:
        raise UserError(f"options of the Ray deployment: {error}") from error
    return bare.bind(load, workers, own)


def _check_room(options: Mapping[str, Any], workers: int) -> None:
    """Serve waits without a word, and without end, for cores that nobody will add.

    Raises:
        UserError: the machine has not enough of them for the replicas it is to begin with.
    """
    scaling = options.get("autoscaling_config") or {}
    count = scaling.get("min_replicas", 1) if scaling else options.get("num_replicas", 1)
    each = (options.get("ray_actor_options") or {}).get("num_cpus", workers)
    cores = ray.cluster_resources().get("CPU", 0)
    if isinstance(count, int) and count * each > cores:
        raise UserError(
            f"{count} replicas of {each:g} cores do not fit into the {cores:g} that Ray has here; "
            "ask for less in num_replicas or ray_actor_options, or name a cluster in RAY_ADDRESS"
        )


def _reason() -> str:
    """Return why the models could not be loaded: the last line of a replica's trace."""
    application = serve.status().applications.get(APPLICATION)
    there = application.deployments.get(DEPLOYMENT) if application else None
    found = re.findall(rf"{UserError.__name__}: (.*)", there.message if there else "")
    return found[-1] if found else ""
