"""Where the launch files, configuration, interfaces and models lie."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def share_dir() -> Path:
    """Return the folder that holds `launch/`, `config/`, `msg/` and `models/`.

    That is the repository root in a checkout or an editable install, `share/edge_robot` of the
    environment after `pip install`, and of the ROS 2 install space after `colcon build`.

    Raises:
        FileNotFoundError: none of these places holds `config/`.
    """
    package = Path(__file__).resolve().parent
    places = [package.parent, Path(sys.prefix) / "share" / "edge_robot"]
    # <prefix>/lib/python3.x/site-packages/edge_robot under colcon, with or without "local".
    places += [parent / "share" / "edge_robot" for parent in package.parents]
    for place in places:
        if (place / "config").is_dir() and (place / "msg").is_dir():
            return place
    tried = ", ".join(str(place) for place in places[:2])
    raise FileNotFoundError(
        f"edge_robot's share folder (config/, launch/, msg/, models/) is in none of: {tried}; "
        "reinstall with `make install`"
    )
