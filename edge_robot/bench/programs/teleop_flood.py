"""Sends video as fast as TCP takes it, as a server does that knows nothing of its viewer's link.

Arguments, as JSON: `host`, `rate` of the camera, Hz. It prints the port that it listens on.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress

import cv2

from edge_robot.bench.teleop.scene import Scene

QUALITY = 70


async def main(host: str, rate: float) -> None:
    """Serve until the input ends."""
    scene = Scene()

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                begun = time.monotonic()
                quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
                writer.write(cv2.imencode(".jpg", scene.frame(time.time()), quality)[1].tobytes())
                await writer.drain()
                await asyncio.sleep(max(0.0, begun + 1.0 / rate - time.monotonic()))
        writer.close()

    server = await asyncio.start_server(send, host, 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(**json.loads(sys.argv[1])))
