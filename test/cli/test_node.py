"""`edge-robot node` against real nodes."""

from __future__ import annotations

BUILT_IN = ("rcl_interfaces/", "type_description_interfaces/")
"""Types of what nodes have of their own."""


def test_list_names_the_nodes(tools, start_node) -> None:
    start_node("", name="one")
    start_node("", name="two")
    start_node("", name="_hidden")
    assert tools.out("node", "list") == "/one\n/two\n"
    assert {"/_hidden", "/one", "/two"} < set(tools.out("node", "list", "-a").splitlines())
    assert tools.out("node", "list", "-c") == "2\n"


def test_list_warns_of_names_used_twice(tools, start_node) -> None:
    start_node("", name="one")
    start_node("", name="one")
    done = tools.run("node", "list")
    assert done.stdout == "/one\n/one\n"
    assert done.stderr == (
        "WARNING: Be aware that there are nodes in the graph that share an exact name, which can "
        "have unintended side effects.\n"
    )


def test_info_refuses_a_node_that_is_not_there(tools) -> None:
    done = tools.run("node", "info", "/nobody")
    assert (done.returncode, done.stderr) == (1, "Unable to find node '/nobody'\n")


MADE_OF = """
from std_msgs.msg import String
from std_srvs.srv import Trigger
node.create_subscription(String, "heard", lambda message: None, 10)
node.create_publisher(String, "said", 10)
node.create_publisher(String, "_hidden", 10)
node.create_service(Trigger, "served", lambda request, response: response)
node.create_client(Trigger, "used")
"""


def test_info_says_what_a_node_is_made_of(tools, start_node) -> None:
    start_node(MADE_OF, name="one")
    text = tools.out("node", "info", "/one")
    own = [line for line in text.splitlines() if not any(word in line for word in BUILT_IN)]
    assert own == [
        "/one",
        "  Subscribers:",
        "    /heard: std_msgs/msg/String",
        "  Publishers:",
        "    /said: std_msgs/msg/String",
        "  Service Servers:",
        "    /served: std_srvs/srv/Trigger",
        "  Service Clients:",
        "    /used: std_srvs/srv/Trigger",
        "  Action Servers:",
        "",
        "  Action Clients:",
        "",
    ]
    assert "    /_hidden: std_msgs/msg/String" in tools.out(
        "node", "info", "--include-hidden", "/one"
    )
