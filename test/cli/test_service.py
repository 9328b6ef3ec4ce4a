"""`edge-robot service` and `edge-robot interface` against real nodes."""

from __future__ import annotations

import pytest

SERVER = """
from std_srvs.srv import SetBool, Trigger

def switch(request, response):
    response.success = request.data
    response.message = "on" if request.data else "off"
    return response

node.create_service(SetBool, "switch", switch)
node.create_service(Trigger, "_hidden", lambda request, response: response)
"""


@pytest.fixture
def server(start_node) -> None:
    start_node(SERVER, name="server")


def test_list_type_and_find(tools, server) -> None:
    assert "/switch [std_srvs/srv/SetBool]" in tools.out("service", "list", "-t").splitlines()
    assert "/_hidden" not in tools.out("service", "list").splitlines()
    shown = tools.out("service", "list", "--include-hidden-services").splitlines()
    assert "/_hidden" in shown
    assert tools.out("service", "type", "/switch") == "std_srvs/srv/SetBool\n"
    assert tools.out("service", "find", "std_srvs/srv/SetBool") == "/switch\n"
    assert tools.out("service", "find", "-c", "std_srvs/srv/SetBool") == "1\n"
    assert tools.run("service", "type", "/nothing").returncode == 1


def test_call_prints_request_and_response(tools, server) -> None:
    text = tools.out("service", "call", "/switch", "std_srvs/srv/SetBool", "{data: true}")
    assert text.removeprefix("waiting for service to become available...\n") == (
        "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n"
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='on')\n\n"
    )


def test_call_waits_for_its_service(tools, start_node) -> None:
    call = tools.start("service", "call", "/switch", "std_srvs/srv/SetBool")
    call.wait_for("waiting for service to become available...")
    start_node(SERVER, name="server")
    call.wait_for("std_srvs.srv.SetBool_Response(success=False, message='off')")


def test_call_refuses_what_cannot_be_called(tools) -> None:
    for arguments, error in (
        (("/switch", "std_srvs/srv/Nothing"), "The passed service type is invalid\n"),
        (("/switch", "std_msgs/msg/String"), "The passed service type is invalid\n"),
        (("/switch", "std_srvs/srv/SetBool", "{dato: 1}"), "Failed to populate field: "),
        (("/switch", "std_srvs/srv/SetBool", "-r", "0"), "rate must be greater than zero\n"),
    ):
        done = tools.run("service", "call", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(error)


def test_interfaces_are_shown_and_listed(tools) -> None:
    assert tools.out("interface", "show", "std_srvs/srv/SetBool") == (
        "bool data\n---\nbool success\nstring message\n"
    )
    assert tools.run("interface", "show", "-", stdin="std_msgs/msg/Header\n").stdout == (
        "builtin_interfaces/Time stamp\n\tint32 sec\n\tuint32 nanosec\nstring frame_id\n"
    )
    assert tools.out("interface", "package", "std_srvs").split() == [
        "std_srvs/srv/Empty", "std_srvs/srv/SetBool", "std_srvs/srv/Trigger",
    ]  # fmt: skip
    listed = tools.out("interface", "list", "-s").splitlines()
    assert listed[0] == "Services:"
    assert "    std_srvs/srv/Trigger" in listed
    assert "std_srvs" in tools.out("interface", "packages", "-s").split()
    for name, error in (
        ("nobody/msg/X", "Unknown package 'nobody'\n"),
        ("std_msgs/msg/X", "Could not find the interface 'std_msgs/msg/X'\n"),
        ("String", "Invalid name 'String'. Expected three parts separated by '/'\n"),
    ):
        done = tools.run("interface", "show", name)
        assert (done.returncode, done.stderr) == (1, error)
