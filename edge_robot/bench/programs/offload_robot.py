"""A robot that looks at the scene and asks a backend, by one of the compared policies.

Arguments, as JSON: `policy` (`ours`, `sedna` or `lerobot`), `endpoints`, `rate`, `deadline`,
`expiry` and `seed`. Prints lines as `edge_robot.bench.offload.robot` makes them.
"""

from __future__ import annotations

import json
import sys

from edge_robot.bench.offload import lerobot, ours, sedna


def main() -> None:
    """Drive until killed."""
    wanted = json.loads(sys.argv[1])
    first, rate = wanted["endpoints"][0], wanted["rate"]
    if wanted["policy"] == "ours":
        ours.drive(wanted["endpoints"], rate, wanted["deadline"], wanted["expiry"])
    elif wanted["policy"] == "sedna":
        sedna.drive(first, rate, wanted["seed"])
    else:
        lerobot.drive(first, rate)


if __name__ == "__main__":
    main()
