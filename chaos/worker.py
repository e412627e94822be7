"""`ropeway worker`, with points at which it can be made to die: `python -m chaos.worker ARGUMENTS`."""

from __future__ import annotations

import sys

from chaos.points import Points
from ropeway.cli import main
from ropeway.connect import Connection
from ropeway.store import Backend

_looped = Connection.looped


def _with_points(self: Connection, *, own: bool = False) -> Backend:
    backend = _looped(self, own=own)
    # Its own loop is the supervisor's: everything that a worker asks for comes this way.
    return Points(backend) if own else backend


if __name__ == "__main__":
    Connection.looped = _with_points  # type: ignore[method-assign]
    sys.argv[1:1] = ["worker"]
    sys.exit(main())
