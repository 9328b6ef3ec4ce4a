"""Every message type, byte for byte, both ways."""

from __future__ import annotations

from typing import Any

from every_message import PACKAGES


def exchange(runtime: Any, what: str, lines: str) -> dict[str, str]:
    """Run `every_message.py` with these lines; return what it says of each name."""
    command = runtime.python("every_message.py", what)
    process = runtime.start_piped(command)
    printed, _ = process.communicate(lines, timeout=120)
    assert process.returncode == 0, printed
    return dict(line.split(" ", 1) for line in printed.splitlines() if "/" in line)


def test_every_type_is_written_and_read_alike(runtimes: dict[str, Any]) -> None:
    real, ours = runtimes["ros2"], runtimes["standalone"]
    names = real.run(real.python("every_message.py", "list", *PACKAGES))
    assert len(names.splitlines()) > 200
    theirs = exchange(real, "write", names)
    mine = exchange(ours, "write", names)
    differing = {
        name: (theirs[name], mine.get(name)) for name in theirs if theirs[name] != mine.get(name)
    }
    assert not differing
    for reader, written in ((ours, theirs), (real, mine)):
        lines = "".join(f"{name} {data}\n" for name, data in written.items())
        answers = exchange(reader, "read", lines)
        assert set(answers) == set(theirs)
        assert {name: said for name, said in answers.items() if said != "ok"} == {}
