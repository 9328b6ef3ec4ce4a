"""Clients who do not read, with their hands on the socket itself.

Arguments, as JSON: `host`, `port`, `token`, `count` and `kind`:

- `never`: reads nothing of `/ws/view` after the handshake;
- `slow`: reads a byte of it a second;
- `liar`: reads nothing of it, but says "seen" for pictures it cannot have seen, and answers pings
  it cannot have got;
- `asker`: reads nothing of `/ws/control`, and asks for something all the time.

It prints how many are connected, and goes on like that until its input ends.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress

_PERIODS = {"liar": 0.1, "asker": 0.0125}  # s; faster than this nobody is read
_TEXT, _PONG = 0x81, 0x8A


def connect(host: str, port: int, token: str, path: str) -> socket.socket:
    """Open a WebSocket.

    Raises:
        ConnectionError: it is refused.
    """
    end = socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    end.settimeout(10.0)
    end.connect((host, port))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {token}",
    )
    end.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        byte = end.recv(1)
        if not byte:
            raise ConnectionError("the server hung up")
        answer += byte
    if b" 101 " not in answer.partition(b"\r\n")[0]:
        raise ConnectionError(answer.decode(errors="replace"))
    end.setblocking(False)
    return end


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a masked WebSocket frame with a short payload; the mask is zero."""
    return struct.pack("!BB4x", opcode, 0x80 | len(payload)) + payload


def main(host: str, port: int, token: str, count: int, kind: str) -> None:
    """Stay connected until the input ends."""
    path = "/ws/control" if kind == "asker" else "/ws/view"
    ends = [connect(host, port, token, path) for _ in range(count)]
    print(json.dumps({"connected": len(ends)}), flush=True)
    period = _PERIODS.get(kind, 1.0)
    number, due = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        due += period
        number += 1
        for end in ends:
            with suppress(OSError):
                if kind == "slow":
                    end.recv(1)
                elif kind == "liar":
                    seen = json.dumps({"type": "seen", "id": number}).encode()
                    end.send(frame(_TEXT, seen) + frame(_PONG, b"m"))
                elif kind == "asker":
                    end.send(frame(_TEXT, json.dumps({"type": "ask", "id": number}).encode()))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
