from __future__ import annotations

import re
from uuid import uuid4

import pytest
from rclpy.logging import Logger, LoggingSeverity, get_logger, set_logger_level

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
    assert LoggingSeverity.from_string("warning") is LoggingSeverity.WARN
    with pytest.raises(UserError, match="loud"):
        LoggingSeverity.from_string("loud")
