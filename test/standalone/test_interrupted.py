"""A signal handler that raises, as Ctrl-C's does, wherever it finds the main thread."""

from __future__ import annotations

import subprocess
import sys

TAKE_UNDER_ALARMS = """
import signal, time
from edge_robot.standalone.dds.endpoints import Reader, Writer
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.qos import DdsQos

class Interrupted(Exception):
    pass

def interrupt(number, frame):
    if taking:
        raise Interrupted

taking = False

participant = Participant(int(__import__("os").environ["ROS_DOMAIN_ID"]))
writer = Writer(participant, "rt/interrupted", "T", DdsQos())
reader = Reader(participant, "rt/interrupted", "T", DdsQos())
signal.signal(signal.SIGALRM, interrupt)
interruptions, end = 0, time.monotonic() + 1.5
while time.monotonic() < end:
    for _ in range(20):
        writer.write(bytes(8))
    signal.setitimer(signal.ITIMER_REAL, 20e-6)
    try:
        taking = True
        while reader.take() is not None:
            pass
        taking = False
    except Interrupted:
        taking = False
        interruptions += 1
print(interruptions)
"""


def test_an_interrupted_take_is_an_exception_and_no_crash(domain: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TAKE_UNDER_ALARMS], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
