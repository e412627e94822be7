"""A command that ends with whoever started it; run as `python -m`, with its pid and the command."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from ropeway.cli.root import main

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(0)  # it has ended already
    main(sys.argv[2:], prog_name="ropeway")
