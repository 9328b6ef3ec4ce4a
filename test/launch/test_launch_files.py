"""Reading launch XML: what it means, and one clear line for everything that is wrong with it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launching import launch, write

from edge_robot.errors import UserError
from edge_robot.expressions import ExpressionError, evaluate
from edge_robot.standalone.launch import arguments_of, load
from edge_robot.standalone.launch.description import Event
from edge_robot.standalone.launch.substitutions import Scope, SubstitutionError, expand
from edge_robot.standalone.rclpy.arguments import load_yaml


def commands(file: Path, environment: dict[str, str] | None = None, **arguments: str) -> list[str]:
    processes = load(file, arguments, environment or {}).processes
    return [" ".join(process.command) for process in processes]


def test_arguments_variables_and_conditions(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        <arg name="who" default="world"/>
        <arg name="loud" default="false"/>
        <let name="greeting" value="hello $(var who)"/>
        <executable cmd="say $(var greeting)"/>
        <executable cmd="shout" if="$(var loud)"/>
        <executable cmd="whisper" unless="$(var loud)"/>
        """,
    )
    assert commands(file) == ["say hello world", "whisper"]
    assert commands(file, who="you", loud="True") == ["say hello you", "shout"]
    (say, _) = load(file, {}).processes
    assert say.command == ("say", "hello world"), "a filled-in value stays one word"


def test_a_group_keeps_its_changes_to_itself(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        <let name="x" value="outer"/>
        <group>
          <let name="x" value="inner"/><set_env name="E" value="1"/>
          <executable cmd="a $(var x) $(env E none)"/>
        </group>
        <group scoped="false"><let name="y" value="kept"/></group>
        <executable cmd="b $(var x) $(env E none) $(var y)"/>
        """,
    )
    assert commands(file) == ["a inner 1", "b outer none kept"]


def test_includes_pass_arguments_and_resolve_their_own_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(
        tmp_path / "sub",
        '<arg name="speed" default="1" description="m/s"/><arg name="name" default="n"/>'
        '<executable cmd="run $(dirname) $(var speed) $(var name)"/>',
        "inner.launch.xml",
    )
    file = write(
        tmp_path,
        '<arg name="fast" default="2"/>'
        '<include file="$(dirname)/sub/inner.launch.xml">'
        '<arg name="speed" value="$(var fast)"/></include>',
    )
    assert commands(file) == [f"run {tmp_path}/sub 2 n"]
    assert commands(file, fast="3", name="m") == [f"run {tmp_path}/sub 3 m"]
    assert [argument.name for argument in arguments_of(file)] == ["fast", "name"]
    rests = '<arg name="camera"/><arg name="topic" default="$(var camera)/image"/>'
    needed = arguments_of(write(tmp_path, rests, "rests.launch.xml"))
    assert [argument.default for argument in needed] == [None, "$(var camera)/image"]


def test_a_node_becomes_the_command_line_ros_has(tmp_path: Path) -> None:
    parameters = tmp_path / "p.yaml"
    parameters.write_text("/**: {ros__parameters: {rate: 3}}")
    file = write(
        tmp_path,
        f"""
        <set_parameter name="use_sim_time" value="true"/>
        <push_ros_namespace namespace="fleet"/>
        <node pkg="edge_robot" exec="dashboard" name="page" namespace="r1" args="--verbose">
          <param from="{parameters}"/>
          <param name="port" value="8081"/>
          <param name="label" type="str" value="0012"/>
          <remap from="/odom" to="/wheels/odom"/>
        </node>
        """,
    )
    (process,) = load(file, {}).processes
    assert process.command == (
        *(sys.executable, "-m", "edge_robot.nodes.dashboard", "--verbose", "--ros-args"),
        *("-r", "__node:=page", "-r", "__ns:=/fleet/r1"),
        *("-p", "use_sim_time:=true", "--params-file", str(parameters)),
        *("-p", "port:=8081", "-p", 'label:="0012"', "-r", "/odom:=/wheels/odom"),
    )
    assert process.node == "/fleet/r1/page"
    assert process.name == "page-1"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<nod/>", ":2: <nod>: is not known to this launch runner; it knows <arg>"),
        ('<let name="a"/>', ":2: <let>: needs the attribute 'value'"),
        ('\n<let name="a" value="b" wert="c"/>', ":3: <let>: attribute 'wert' is not known"),
        ('<let name="a" value="$(var b)"/>', ":2: <let>: no launch argument or <let> named 'b'"),
        ('<let name="a" value="$(evil 1)"/>', ":2: <let>: unknown substitution $(evil)"),
        ('<let name="a" value="$(eval \'open(1)\')"/>', "'open' is not known"),
        ('<let name="a" value="$(command false)"/>', "failed with status 1"),
        ('<let name="a" value="$(not 3)"/>', "'3' is neither true nor false"),
        ('<let name="a" value="$(find-pkg-share nowhere)"/>', "'nowhere' is not found"),
        ('<timer period="-1"/>', "period is not a number of seconds"),
        ('<executable cmd="a" respawn_delay="x"/>', "respawn_delay is not a number"),
        (
            '<node pkg="edge_robot" exec="dashboard">'
            '<param name="a"><remap from="a" to="b"/></param></node>',
            "has no place inside <param>",
        ),
        ('<let name="a" value="$(var b"/>', ":2: <let>: '$(var b' is not closed"),
        ('<let name="a" value="$(env NOT_SET_HERE)"/>', "environment variable NOT_SET_HERE"),
        ('<include file="no.launch.xml"/>', "no.launch.xml does not exist"),
        ('<executable cmd=""/>', "needs the attribute 'cmd'"),
        ('<executable cmd="a \'b"/>', "cmd: No closing quotation"),
        ('<executable cmd="a" respawn="perhaps"/>', "respawn='perhaps' is neither true nor false"),
        ('<executable cmd="a" on_exit="cry"/>', "on_exit='cry' is not known"),
        ('<executable cmd="a"><param name="b" value="c"/></executable>', "has no place inside"),
        ('<node pkg="other" exec="x"/>', "package 'other' is not known"),
        (
            '<node pkg="edge_robot" exec="dashboard">'
            '<param name="p" value="1" type="double"/></node>',
            "type='double' is not known to launch; known are yaml, str",
        ),
        (
            '<node pkg="edge_robot" exec="dashboard">'
            '<param name="p" value="[1, a]" type="list_of_int"/></node>',
            "value '[1, a]' is no list_of_int",
        ),
        ('<node pkg="edge_robot" exec="dashbord"/>', "has no executable 'dashbord'; it has"),
        (
            '<node pkg="edge_robot" exec="dashboard"><param from="no.yaml"/></node>',
            "parameter file no.yaml does not exist",
        ),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line(
    tmp_path: Path, body: str, problem: str
) -> None:
    with pytest.raises(UserError) as caught:
        load(write(tmp_path, body), {})
    assert problem in str(caught.value)
    assert str(tmp_path / "test.launch.xml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("<launch>\n<let\n</launch>", ":3: malformed XML (not well-formed (invalid token))"),
        ("", ":1: malformed XML (no element found)"),
        ("<launch>\n", ":2: malformed XML (no element found)"),
        ("<robot/>", ":1: <robot>: a launch file's root is <launch>"),
    ],
)
def test_malformed_xml_is_one_line(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "bad.launch.xml"
    file.write_text(content)
    result = launch(file)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {file}{problem}")


@given(st.text())
def test_any_text_is_expanded_or_refused(text: str) -> None:
    try:
        expand(text, Scope({}, {}), Path("f"))
    except SubstitutionError as error:
        assert str(error)


@given(st.text(alphabet=st.characters(exclude_characters="\\$")))
def test_text_without_substitutions_is_itself(text: str) -> None:
    assert expand(text, Scope({"x": text}, {}), Path("f")) == text
    assert expand("<$(var x)>", Scope({"x": text}, {}), Path("f")) == f"<{text}>"


def test_nested_and_quoted_substitutions() -> None:
    scope = Scope({"a": "b", "b": "c"}, {"E": "e"})
    assert expand("$(var $(var a))", scope, Path("f")) == "c"
    assert expand("$(env NO 'two words')", scope, Path("f")) == "two words"
    assert expand("$(env NO '')|$(env E)", scope, Path("f")) == "|e"
    assert expand(r"\$(var a) 5$", scope, Path("f")) == "$(var a) 5$"


def test_bad_invocations_are_one_line_with_status_2(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '<arg name="speed"/><arg name="mode" default="a"><choice value="a"/></arg>',
    )
    for arguments, problem in [
        (("no/such.launch.xml",), "launch file no/such.launch.xml does not exist"),
        (("no_such",), "no launch file named 'no_such'"),
        ((file,), "launch argument 'speed' has no default; give speed:=VALUE"),
        ((file, "sped:=1"), "has no launch argument 'sped'; did you mean speed?"),
        ((file, "speed=1"), "'speed=1' is no launch argument; write NAME:=VALUE"),
        ((file, "speed:=1", "mode:=b"), "launch argument mode:=b: use one of a"),
    ]:
        result = launch(*arguments)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        assert problem in line


def test_show_args(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '<arg name="speed" description="in m/s"/>'
        '<arg name="where" default="$(dirname)/x"/>'
        '<arg name="mode" default="a"><choice value="a"/><choice value="b"/></arg>',
    )
    result = launch(file, "--show-args")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [
        "Arguments (pass arguments as '<name>:=<value>'):",
        "",
        "    'speed':",
        "        in m/s",
        "",
        "    'where':",
        "        no description given",
        "        (default: '$(dirname)/x')",
        "",
        "    'mode':",
        "        One of: ['a', 'b']",
        "        (default: 'a')",
    ]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("str", 'a "b"', 'a "b"'),
        ("str", "0012", "0012"),
        ("float", "60", 60.0),
        ("float", "1e-5", 1e-5),
        ("int", "7", 7),
        ("bool", "1", True),
        ("list_of_str", "['1', b]", ["1", "b"]),
        ("list_of_float", "[1.0, 2.0]", [1.0, 2.0]),
        ("yaml", "[1, 2]", [1, 2]),
    ],
)
def test_parameters_arrive_as_the_type_they_are_given(
    kind: str, text: str, value: Any, tmp_path: Path
) -> None:
    param = f'<param name="p" type="{kind}" value={quoteattr(text)}/>'
    file = write(tmp_path, f'<node pkg="edge_robot" exec="dashboard">{param}</node>')
    written = load(file, {}).processes[0].command[-1].removeprefix("p:=")
    read = load_yaml(written, "the command line")
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$(eval '1 + 2 * 3')", "7"),
        ('$(eval \'"$(var side)" == "left" and $(var count) > 2\')', "True"),
        ('$(eval \'"a" if false else "b".upper()\')', "B"),
        ("$(eval 'round(math.sqrt(2), 2) + cos(0)')", "2.41"),
        ("$(eval '[1, 2][-1] in (2, 3)')", "True"),
        ("$(not $(var flag)) $(and true $(var flag)) $(or 0 $(var flag))", "false true true"),
        ("$(all) $(any) $(any false 1)", "true false true"),
        ("$(if $(equals $(var count) 3.0) yes no)", "yes"),
        ("$(not-equals left right) $(equals true 1) $(equals a a)", "true true true"),
        ("$(command 'echo a b')|", "a b\n|"),
        ("$(command 'sh -c \"echo x >&2\"' capture)", "x\n"),
        ("$(filename)", "/here/a.launch.xml"),
        ("$(find-pkg-prefix other) $(find-pkg-share other)", "{tmp} {tmp}/share/other"),
        ("$(exec-in-pkg tool other)", "{tmp}/lib/other/tool"),
        ("$(file-content {tmp}/text)", "said"),
    ],
)
def test_substitutions(text: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "share/other").mkdir(parents=True)
    (tmp_path / "text").write_text("said")
    tool = tmp_path / "lib/other/tool"
    tool.parent.mkdir(parents=True)
    tool.touch(0o755)
    variables = {"side": "left", "count": "3", "flag": "true"}
    environment = {**os.environ, "AMENT_PREFIX_PATH": f"/nowhere:{tmp_path}"}
    scope = Scope(variables, environment)
    file = Path("/here/a.launch.xml")
    assert expand(text.replace("{tmp}", str(tmp_path)), scope, file) == value.format(tmp=tmp_path)


def test_anonymous_names_are_valid_and_the_same_in_one_launch() -> None:
    scope, file = Scope({}, {}), Path("a.launch.xml")
    first = expand("$(anon cam)", scope, file)
    assert re.fullmatch(r"cam_\w+", first)
    assert expand("$(anon cam)", scope.copy(), file) == first
    assert expand("$(anon cam)", Scope({}, {}), file) != first


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__",
        "open('x')",
        "__import__('os')",
        "math.__loader__",
        "'%s' % 1",
        "2 ** 99999",
        "9 ** 9 ** 9 ** 9",
        "'a' * 99999",
        "factorial(99999)",
        "lambda: 0",
        "[x for x in (1,)]",
        "f'{1}'",
        "int.from_bytes(b'1', 'big')",
        "1 +",
        "1 / 0",
        "nope",
        "-" * 1900 + "1",
        "(" * 900 + "1" + ")" * 900,
    ],
)
def test_expressions_only_calculate(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression)


@given(st.text(max_size=40))
def test_any_expression_is_evaluated_or_refused(expression: str) -> None:
    with contextlib.suppress(ExpressionError):
        str(evaluate(expression))


def test_what_is_set_for_all_nodes_of_a_group(tmp_path: Path) -> None:
    parameters = tmp_path / "all.yaml"
    parameters.touch()
    file = write(
        tmp_path,
        '<group><set_remap from="a" to="b"/><set_use_sim_time value="True"/>'
        '<set_parameter name="p" value="1"/>'
        f'<set_parameters_from_file filename="{parameters}"/>'
        '<append_env name="LIST" value="2"/><append_env name="LIST" value="0" prepend="true"/>'
        '<node pkg="edge_robot" exec="dashboard"><remap from="c" to="d"/>'
        '<param name="outer"><param name="mid"><param name="leaf" value="7"/></param></param>'
        "</node></group>"
        '<node pkg="edge_robot" exec="dashboard" name="other"/>',
    )
    inside, outside = load(file, {}, {"LIST": "1"}).processes
    rest = inside.command[inside.command.index("__node:=dashboard") + 1 :]
    assert rest == (
        *("-r", "a:=b", "-p", "use_sim_time:=true", "-p", "p:=1"),
        *("--params-file", str(parameters), "-r", "c:=d", "-p", "outer.mid.leaf:=7"),
    )
    assert inside.environment["LIST"] == "0:1:2"
    assert outside.command[-1] == "__node:=other"
    assert outside.environment["LIST"] == "1"


def test_timers_delay_what_is_in_them(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '<log message="now"/><timer period="1.5"><executable cmd="a"/>'
        '<timer period="1"><log message="then"/></timer></timer>'
        '<executable cmd="b"/><timer period="9"><shutdown reason="enough"/></timer>',
    )
    description = load(file, {})
    assert [process.delay for process in description.processes] == [1.5, 0.0]
    assert description.events == (
        Event("now"),
        Event("then", 2.5),
        Event("enough", 9.0, is_shutdown=True),
    )


def test_nodes_of_other_packages_are_found_where_they_are_installed(tmp_path: Path) -> None:
    programs = tmp_path / "lib/other"
    programs.mkdir(parents=True)
    (tmp_path / "share/other").mkdir(parents=True)
    for name, text in (("talker", "#!/usr/bin/env python3\n"), ("native", "\x7fELF")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    file = write(
        tmp_path, '<node pkg="other" exec="talker"/><node pkg="other" exec="native" name="n"/>'
    )
    talker, native = load(file, {}, {"AMENT_PREFIX_PATH": str(tmp_path)}).processes
    run = [sys.executable, "-m", "edge_robot", "run", str(programs / "talker")]
    assert list(talker.command[:5]) == run
    assert talker.node == "/talker"
    assert native.command[0] == str(programs / "native")
    with pytest.raises(UserError, match="no executable"):
        load(
            write(tmp_path, '<node pkg="other" exec="x"/>'),
            {},
            {"AMENT_PREFIX_PATH": str(tmp_path)},
        )
