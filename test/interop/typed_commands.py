"""Types `ros2 …` as in a terminal, one command after the other; for the real ROS 2 alone.

Each line read is a command, a JSON list of words; each line printed is what came of it, a JSON list
of the text and the exit status. In one process, for a terminal takes a second to start each.
"""

import contextlib
import io
import json
import sys

from ros2cli.cli import main

for line in sys.stdin:
    sys.argv = ["ros2", *json.loads(line)]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            status = main()
        except SystemExit as end:
            status = end.code
    if isinstance(status, str):
        print(status, file=text)
    print(json.dumps([text.getvalue(), int(bool(status))]), flush=True)
