from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from edge_robot import stages
from edge_robot.errors import UserError
from edge_robot.nodes.urgency import Urgency, keep_to

PROGRAM = """
import os, sys, threading, edge_robot
from edge_robot.nodes.urgency import Urgency, claim_priority
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(claim_priority(Urgency[sys.argv[1]]))
other = max(int(name) for name in os.listdir("/proc/self/task"))
print(os.sched_getscheduler(other) == os.SCHED_FIFO, os.sched_getparam(other).sched_priority)
print(os.getpriority(os.PRIO_PROCESS, other))
"""


def test_one_thread_alone_can_go_before_others() -> None:
    program = PROGRAM.replace("Urgency[sys.argv[1]]", "Urgency.PROMPT, threading.get_native_id()")
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    said, _, niceness_of_another = answer.splitlines()
    if said != "niceness -10":
        pytest.skip(f"nothing is permitted here: {said}")
    assert int(niceness_of_another) > -10


def test_what_is_permitted_is_known_before_anything_starts() -> None:
    program = """
import edge_robot
from edge_robot.nodes.urgency import Urgency, claim_priority, permits_real_time
print(permits_real_time(), claim_priority(Urgency.CONTROL))
"""
    for before in ([], ["setpriv", "--bounding-set=-sys_nice"]):
        if before and (os.geteuid() or not shutil.which("setpriv")):
            continue
        command = [*before, sys.executable, "-c", program]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        permitted, granted = answer.strip().split(" ", 1)
        assert permitted == str(granted.startswith("real-time priority"))
        assert not before or permitted == "False"


def test_half_a_permission_lets_nobody_pass_control() -> None:
    limited = ["prlimit", "--rtprio=1:1", "--nice=35:35", "setpriv", "--bounding-set=-sys_nice"]
    try:
        subprocess.run([*limited, "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can give away its right, and set limits (niceness -15) instead")
    program = """
import sys, edge_robot
from edge_robot.nodes.urgency import Urgency, claim_priority
print(claim_priority(Urgency[sys.argv[1]]))
"""
    for urgency in (Urgency.CONTROL, Urgency.PERCEPTION):
        command = [*limited, sys.executable, "-c", program, urgency.name]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert answer == "niceness -15; `ulimit -r 5` permits real-time priority\n"


def test_what_is_started_later_need_not_go_before_others() -> None:
    program = """
import os, subprocess, sys, edge_robot
from edge_robot.nodes.urgency import Urgency, claim_priority
print(claim_priority(Urgency[sys.argv[1]], inherited=False))
child = "import os; print(os.sched_getscheduler(0) == os.SCHED_OTHER, os.nice(0))"
subprocess.run([sys.executable, "-c", child], check=True)
"""
    before = os.nice(0)
    for urgency in (Urgency.CONTROL, Urgency.PROMPT):
        command = [sys.executable, "-uc", program, urgency.name]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        said, child = answer.splitlines()
        if said.startswith("no priority"):
            pytest.skip(f"nothing is permitted here: {said}")
        assert child in (f"True {before}", "True 0")


def test_who_has_the_shorter_budget_goes_first() -> None:
    chain = [Urgency.CONTROL, Urgency.FUSION, Urgency.PLANNING, Urgency.PERCEPTION]
    budgets = [s.budget for s in (stages.CONTROL, stages.FUSION, stages.PLANNING)]
    assert sorted(budgets) == budgets and budgets[-1] <= stages.CAMERA_PERCEPTION.budget
    order = [
        urgency.value for urgency in [*chain, Urgency.RECORDING, Urgency.PROMPT, Urgency.ORDINARY]
    ]
    assert sorted(order, key=lambda value: -value[0]) == order, "in real time"
    assert sorted(order, key=lambda value: value[1]) == order, "by niceness where that is refused"
    assert Urgency.PROMPT.value[0] == 0, "what strangers send work to must not take a core"


@pytest.mark.parametrize("urgency", [Urgency.PERCEPTION, Urgency.CONTROL])
def test_what_it_says_was_granted_is_what_the_kernel_says(urgency: Urgency) -> None:
    command = [sys.executable, "-c", PROGRAM, urgency.name]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    said, scheduler, niceness = answer.splitlines()
    granted = re.match(r"(real-time priority|niceness) (-?\d+)", said)
    if granted is None:
        pytest.skip(f"nothing is permitted here: {said}")
    kind, number = granted.groups()
    if kind == "niceness":
        assert niceness == number == str(urgency.value[1])
    else:
        assert scheduler == f"True {number}"
        assert number == str(urgency.value[0])


def test_all_threads_keep_to_the_processors_that_are_named() -> None:
    first = min(os.sched_getaffinity(0))
    program = (
        PROGRAM.split("print(claim")[0]
        + "from edge_robot.nodes.urgency import keep_to\nkeep_to(sys.argv[1])\n"
        + "print({cpu for task in os.listdir('/proc/self/task')"
        " for cpu in os.sched_getaffinity(int(task))})"
    )
    command = [sys.executable, "-c", program, f"{first}-{first}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert answer.strip() == f"{{{first}}}"


@pytest.mark.parametrize(
    ("cpus", "why"), [("one", "give numbers"), ("3-2", "give numbers"), ("0,4095", "4095 is off")]
)
def test_processors_that_are_none_are_refused(cpus: str, why: str) -> None:
    before = os.sched_getaffinity(0)
    try:
        with pytest.raises(UserError, match=why):
            keep_to(cpus)
    finally:
        os.sched_setaffinity(0, before)
