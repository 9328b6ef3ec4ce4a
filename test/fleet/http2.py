"""Just enough of an HTTP/2 server (RFC 9113) to break its rules where a test wants to."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from tritonclient.grpc import service_pb2 as pb

_PREFACE = 24
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4

# HPACK (RFC 7541): ":status: 200" is entry 8 of the static table; the others are literals.
_OPENING = b"\x88" + b"\x0f\x10\x10application/grpc"
_CLOSING = b"\x00\x0bgrpc-status\x010"


class Call:
    """One request, and what can be sent back for it."""

    def __init__(self, connection: socket.socket, stream: int, message: bytes) -> None:
        self.connection = connection
        self.request = pb.ModelInferRequest.FromString(message)
        self._stream = stream

    def frame(self, kind: int, flags: int, payload: bytes) -> None:
        """Send a frame of the request's stream."""
        self.connection.sendall(header(len(payload), kind, flags, self._stream) + payload)

    def open(self) -> None:
        """Send the headers of an answer."""
        self.frame(_HEADERS, _END_HEADERS, _OPENING)

    def data(self, payload: bytes) -> None:
        """Send a part of the message; the first begins with `message_prefix`."""
        self.frame(_DATA, 0, payload)

    def answer(self, message: bytes) -> None:
        """Send a whole answer that is as it should be."""
        self.open()
        self.data(message_prefix(len(message)) + message)
        self.frame(_HEADERS, _END_STREAM | _END_HEADERS, _CLOSING)

    def reset_connection(self) -> None:
        """Close the connection with a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def header(length: int, kind: int, flags: int, stream: int) -> bytes:
    """A frame's header."""
    return length.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")


def message_prefix(length: int) -> bytes:
    """What stands before a message of gRPC: not compressed, so many bytes."""
    return b"\0" + length.to_bytes(4, "big")


class Http2Server:
    """Answers heartbeats (requests without content) and hands everything else to a test.

    Attributes:
        port: TCP port, of 127.0.0.1.
        on_call: What to do with a request; runs in the connection's thread.
    """

    def __init__(self) -> None:
        self.on_call: Callable[[Call], None] = lambda call: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            _receive(connection, _PREFACE)
            connection.sendall(header(0, _SETTINGS, 0, 0))
            self._read_frames(connection)
        except OSError:
            connection.close()  # the other side has gone, or a test has reset it

    def _read_frames(self, connection: socket.socket) -> None:
        bodies: dict[int, bytes] = {}
        while True:
            head = _receive(connection, 9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:], "big")
            payload = _receive(connection, length)
            if kind in (_SETTINGS, _PING) and not flags & _ACK:
                reply = payload if kind == _PING else b""
                connection.sendall(header(len(reply), kind, _ACK, 0) + reply)
            if kind != _DATA:
                continue
            if length:
                more = header(4, _WINDOW_UPDATE, 0, 0) + length.to_bytes(4, "big")
                connection.sendall(more)
            bodies[stream] = bodies.get(stream, b"") + payload
            if flags & _END_STREAM:
                call = Call(connection, stream, bodies.pop(stream)[5:])
                if call.request == pb.ModelInferRequest():
                    call.answer(pb.ServerLiveResponse(live=True).SerializeToString())
                else:
                    self.on_call(call)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part: Any = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed by the other side")
        data += part
    return data
