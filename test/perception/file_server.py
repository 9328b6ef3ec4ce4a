"""A web server that keeps, breaks and forgets its promises, for tests of downloads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class FileServer:
    """Serves `content` at /model.onnx.

    Attributes:
        content: The file; may be exchanged at any time.
        cuts: Bytes after which each next answer is cut off; whole answers when used up.
        validators: Whether it names the file's version.
        honours_if_range: Whether it heeds the condition of a request for the rest.
        claimed: Length it claims, more or less than it sends.
        chunked: Whether it sends without a length.
        ranges: The ranges that were asked for.
    """

    content: bytes
    cuts: list[int] = field(default_factory=list)
    validators: bool = True
    honours_if_range: bool = True
    claimed: int | None = None
    chunked: bool = False
    ranges: list[str | None] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/model.onnx"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        tag = f'"{hash(self.content)}"'
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start and self.honours_if_range and request.headers.get("If-Range") != tag:
            start = 0
        if start >= len(self.content):
            raise web.HTTPRequestRangeNotSatisfiable
        body = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200)
        if self.validators:
            response.headers["ETag"] = tag
        if start:
            last = len(self.content) - 1
            response.headers["Content-Range"] = f"bytes {start}-{last}/{len(self.content)}"
        if self.chunked:
            response.enable_chunked_encoding()
        else:
            length = self.claimed if self.claimed is not None else len(body)
            response.headers["Content-Length"] = str(length)
        await response.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else None
        await response.write(body[:cut])
        if cut is not None or self.claimed is not None:
            await asyncio.sleep(0.01)
            assert request.transport is not None
            request.transport.close()
        return response

    async def redirect(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(request.query.get("to", "/redirect"))  # by default, to itself

    async def missing(self, request: web.Request) -> web.Response:
        raise web.HTTPNotFound()


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    """Run a server on a port of its own until the block ends."""
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/model.onnx", server.answer)
        app.router.add_get("/redirect", server.redirect)
        app.router.add_get("/missing", server.missing)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        started.set()
        while not ended.is_set():
            await asyncio.sleep(0.02)
        await runner.cleanup()

    ended = threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert started.wait(10)
        yield server
    finally:
        ended.set()
        thread.join()
        loop.close()
