"""`mango`, whose service begins a tell, makes the file of the first argument, and goes on once there is the second."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from mango.cli import app
from mango.service.hosted import Hosted

began, may_go_on = (Path(name) for name in sys.argv[1:3])
take_in = Hosted.take_in


def slowly(self: Hosted, *arguments: Any, **named: Any) -> Any:
    """See `Hosted.take_in`."""
    began.touch()
    while not may_go_on.exists():
        time.sleep(0.01)
    return take_in(self, *arguments, **named)


if __name__ == "__main__":
    Hosted.take_in = slowly  # type: ignore[method-assign]
    app(sys.argv[3:])
