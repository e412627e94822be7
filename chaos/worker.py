"""`ropeway worker`, in this harness's hands: `python -m chaos.worker ARGUMENTS`.

There are points at which it can be made to die, it notes what it asks and is answered, and its clock
may be wrong.
"""

from __future__ import annotations

import sys

from chaos.notes import Notes
from chaos.points import Points
from chaos.skew import skew
from ropeway.cli import main
from ropeway.connect import Connection
from ropeway.store import Backend

_looped = Connection.looped


def _watched(self: Connection, *, own: bool = False) -> Backend:
    backend = _looped(self, own=own)
    # Its own loop is the supervisor's: everything that a worker asks for comes this way.
    return Points(Notes(backend)) if own else backend


if __name__ == "__main__":
    skew()
    Connection.looped = _watched  # type: ignore[method-assign]
    sys.argv[1:1] = ["worker"]
    sys.exit(main())
