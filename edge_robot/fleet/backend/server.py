"""The fleet backend: one process, an event loop in a thread, two faces, one engine behind them.

gRPC and HTTP answer as soon as the server listens: it lives. It is ready once its models are
loaded and warm, until it drains.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from edge_robot.errors import UserError
from edge_robot.fleet.backend import grpc_service, http_service
from edge_robot.fleet.backend.access import Access
from edge_robot.fleet.backend.reception import LAST_WORDS, Reception
from edge_robot.fleet.backend.scheduler import Engine
from edge_robot.priority import keep_ordinary_priority, yield_to_others

T = TypeVar("T")


class Backend:
    """The server.

    Args:
        load: Returns the engine, its models loaded and warm. It is called in a thread of low
            priority, which threads that the models start inherit: an answer in the making delays
            neither heartbeats nor a robot on the same machine.
        host: Address to listen on.
        port: TCP port for gRPC; 0 for any free one.
        http_port: TCP port for HTTP, likewise; no HTTP if None.
        access: Whom to listen to.

    Attributes:
        models: That are served.
        port: For gRPC.
        http_port: For HTTP; None without.

    Raises:
        UserError: an address is taken or not of this machine, or a TLS file cannot be used; or as
            `load` says.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        *,
        host: str = "127.0.0.1",
        port: int = 8001,
        http_port: int | None = None,
        access: Access | None = None,
    ) -> None:
        for wanted in (port, http_port):
            if wanted is not None:
                _check_address(host, wanted)
        access = access or Access()
        self._reception = Reception()
        self.http_port: int | None = None
        self._engine: Engine | None = None
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(initializer=keep_ordinary_priority))
        self._thread = threading.Thread(target=self._loop.run_forever, name="backend", daemon=True)
        self._thread.start()
        try:
            self.port: int = self._call(self._listen(access, host, port, http_port))
            with ThreadPoolExecutor(1, "loading", initializer=yield_to_others) as loading:
                self._engine = loading.submit(load).result()
            self.models = tuple(self._engine.models)
            self._loop.call_soon_threadsafe(self._reception.open, self._engine)
        except BaseException:
            self.stop(0.0)
            raise

    def stop(self, grace: float = 0.5) -> None:
        """Refuse new requests, let those in the house finish, and stop.

        Args:
            grace: Time they have, s.
        """
        self._call(self._close(grace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self, access: Access, host: str, port: int, http_port: int | None) -> int:
        stop, port = await grpc_service.start(self._reception, access, host, port)
        self._stops.append(stop)
        if http_port is not None:
            stop, self.http_port = await http_service.start(
                self._reception, access, host, http_port
            )
            self._stops.append(stop)
        return port

    async def _close(self, grace: float) -> None:
        # Listening goes on meanwhile: probes hear that the server is not ready, robots why.
        self._reception.closed = "the server is draining; ask another one"
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._reception.emptied(), grace)
        if self._engine is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._engine.drain(0.0), LAST_WORDS)
            self._engine.close()
        await asyncio.gather(*(stop() for stop in self._stops))


def _check_address(host: str, port: int) -> None:
    """Bind for a moment: gRPC would not say why it cannot, and writes to stderr by itself."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise UserError(
            f"the fleet backend cannot listen on {host}:{port}: {error.strerror or error}; "
            "stop the other process, or choose another port or an address of this machine"
        ) from error
