from __future__ import annotations

import re
from uuid import uuid4

import pytest
import rclpy
from rclpy.logging import (
    Logger,
    LoggingSeverity,
    apply_log_levels,
    get_logger,
    get_logging_severity_from_string,
    initialize,
    set_logger_level,
)

from edge_robot.errors import UserError


@pytest.fixture
def logger() -> Logger:
    return get_logger(f"test_{uuid4().hex}")


def test_the_format_is_that_of_ros_2(logger: Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logger.warning("look out")
    line = capsys.readouterr().err
    assert re.fullmatch(rf"\[WARN\] \[\d+\.\d{{9}}\] \[{logger.name}\]: look out\n", line)


def test_levels_are_inherited(logger: Logger, capsys: pytest.CaptureFixture[str]) -> None:
    child = logger.get_child("part")
    set_logger_level(logger.name, LoggingSeverity.ERROR)
    assert not child.warning("quiet")
    assert child.error("loud")
    child.set_level(LoggingSeverity.DEBUG)
    assert child.debug("now too")
    assert capsys.readouterr().err.count("\n") == 2


def test_a_line_can_be_limited(logger: Logger, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        logger.info("throttled", throttle_duration_sec=60.0)
        logger.info("once", once=True)
        logger.info("not first", skip_first=True)
    logger.info("another line", throttle_duration_sec=60.0)
    text = capsys.readouterr().err
    counts = {name: text.count(name) for name in ("throttled", "once", "not first", "another")}
    assert counts == {"throttled": 1, "once": 1, "not first": 4, "another": 1}


def test_level_names() -> None:
    assert get_logging_severity_from_string("warn") is LoggingSeverity.WARN
    with pytest.raises(RuntimeError, match="loud"):
        get_logging_severity_from_string("loud")
    with pytest.raises(UserError, match="loud"):
        apply_log_levels({"": "loud"})


def test_a_line_must_not_change_what_it_asks_for(logger: Logger) -> None:
    with pytest.raises(ValueError, match="parameters cannot be changed"):
        for span in (1.0, 2.0):
            logger.info("text", throttle_duration_sec=span)
    with pytest.raises(TypeError, match="not one of the recognized"):
        logger.info("text", twice=True)


def test_the_environment_chooses_format_stream_and_colour(
    logger: Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = r"{severity}\t{message} {unknown} {file_name}:{line_number} {function_name}"
    monkeypatch.setenv("RCUTILS_CONSOLE_OUTPUT_FORMAT", text)
    monkeypatch.setenv("RCUTILS_LOGGING_USE_STDOUT", "1")
    monkeypatch.setenv("RCUTILS_COLORIZED_OUTPUT", "1")
    initialize()
    try:
        logger.error("look out")
    finally:
        monkeypatch.undo()
        initialize()
    captured = capsys.readouterr()
    assert captured.err == ""
    place = rf"{re.escape(__file__)}:\d+ test_the_environment_chooses_format_stream_and_colour"
    pattern = rf"\x1b\[31mERROR\tlook out \{{unknown\}} {place}\x1b\[0m\n"
    assert re.fullmatch(pattern, captured.out)


def test_the_terminal_can_be_left_out(
    logger: Logger, domain: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rclpy.init(args=["--ros-args", "--disable-stdout-logs"])
    try:
        assert logger.error("text")
        assert capsys.readouterr().err == ""
    finally:
        rclpy.shutdown()
        initialize()
