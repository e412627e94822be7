"""huey on SQLite, which hands a task out once and knows no lease."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from benchmarks.stalls import witness

_huey: Any = importlib.import_module("huey")
queue: Any = _huey.SqliteHuey(filename=os.environ[witness.BROKER])


tasks: dict[str, Any] = {"lock": queue.task(name="lock")(witness.hold_lock)}


if __name__ == "__main__":
    tasks[sys.argv[1]]()
