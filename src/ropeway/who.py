"""Who does something by hand, for the records that others read."""

from __future__ import annotations

import os


def who() -> str:
    """Return the user of this process and its machine: `ops@app-1`."""
    import getpass
    import socket  # neither is needed by a program that only sends

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container a number may be all there is
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
