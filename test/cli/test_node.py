"""`edge-robot node` against real nodes."""

from __future__ import annotations


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
