"""Measures the round trip of a link itself: ICMP echoes, which the other end's kernel answers.

Arguments, as JSON: `address` and `period`, s. Needs root. At every line of input it prints what
came back since: `round_trips`, [when it was sent, s, steady clock, round trip, s].
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

_ECHO, _REPLY = 8, 0
_IP_HEADER = 20  # bytes; without options, on a link of two ends


def echo(sequence: int, sent: float) -> bytes:
    """Return an ICMP echo request (RFC 792) that carries when it was sent."""
    payload = struct.pack("!d", sent)

    def message(checksum: int) -> bytes:
        return struct.pack("!BBHHH", _ECHO, 0, checksum, 1, sequence) + payload

    total = sum(struct.unpack(f"!{len(message(0)) // 2}H", message(0)))
    total = (total & 0xFFFF) + (total >> 16)
    return message(~(total + (total >> 16)) & 0xFFFF)


def main(address: str, period: float) -> None:
    """Ping until the input ends."""
    found: list[tuple[float, float]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
        print(json.dumps({"pinging": True}), flush=True)
        sequence, due = 0, time.monotonic()
        while True:
            wait = max(0.0, due - time.monotonic())
            ready, _, _ = select.select([icmp, sys.stdin], [], [], wait)
            now = time.monotonic()
            if icmp in ready:
                packet = icmp.recv(1024)[_IP_HEADER:]
                if packet[0] == _REPLY:
                    (sent,) = struct.unpack_from("!d", packet, 8)
                    found.append((sent, now - sent))
            if sys.stdin in ready:
                if not sys.stdin.readline():
                    return
                print(json.dumps({"round_trips": found}), flush=True)
                found = []
            if now >= due:
                sequence = (sequence + 1) & 0xFFFF
                icmp.sendto(echo(sequence, time.monotonic()), (address, 0))
                due = now + period


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
