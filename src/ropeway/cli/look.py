"""Looking at a backend without importing an app, and without making a database that is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ropeway.capabilities import require
from ropeway.config import Settings, load
from ropeway.connect import Connection, sqlite_path
from ropeway.errors import BackendUnavailable
from ropeway.operate.operator import Operator
from ropeway.stepping import step
from ropeway.store import Backend
from ropeway.who import who


def database_file(settings: Settings) -> Path | None:
    """Return the file of the embedded database, or None if jobs are kept elsewhere."""
    return sqlite_path(settings.url) if urlsplit(settings.url).scheme == "sqlite" else None


def exists(path: Path) -> bool:
    """Tell if the file is there; raises `BackendUnavailable` where that cannot be seen."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BackendUnavailable(
            f"cannot look at {path}: {error.strerror}", hint="check the owner of its folders"
        ) from None
    return True


@contextmanager
def looking() -> Iterator[tuple[Backend | None, str]]:
    """Open what the URL names for the block; None, with what is missing, if it is not there yet."""
    settings = load({})
    connection = Connection.of(settings)
    path = database_file(settings)
    if path is not None and not exists(path):
        yield None, f"there is no database at {path} yet: nothing was sent to it"
        return
    backend = connection.blocking()
    require(backend.capabilities, "shared", "looking from another process")
    try:
        yield backend, ""
    finally:
        step(backend.close())


@contextmanager
def changing() -> Iterator[Backend]:
    """Open what the URL names for the block; raises `BackendUnavailable` if it is not there yet."""
    with looking() as (backend, missing):
        if backend is None:
            raise BackendUnavailable(missing, hint="is it another one? see --url and ROPEWAY_URL")
        yield backend


def by_hand(backend: Backend) -> Operator:
    """Return what does things in the name of whoever typed the command; each is on record."""
    return Operator(backend, load({}), by=who(), via="cli")
