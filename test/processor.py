"""What the processor that the tests run on cannot do."""

from __future__ import annotations

import re
from pathlib import Path


def int8_overflows() -> bool:
    """Return whether ONNX Runtime's int8 is not exact here: on x86 without VNNI."""
    flags = re.search(r"^flags.*", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return flags is not None and "vnni" not in flags.group()
