"""Which version of an app's code a process has imported."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ropeway.worker.locate import Application


def code_digest(app: Application) -> str:
    """Return 12 digits that change when a file changes in which one of the app's tasks is."""
    digest = hashlib.blake2b(digest_size=6)
    modules = {task.definition.function.__module__ for task in app.tasks.values()}
    for name in sorted(modules):
        digest.update(name.encode())
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is not None and Path(path).is_file():
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()
