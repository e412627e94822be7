"""The versions of what runs here."""

from __future__ import annotations

import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ropeway import __version__
from ropeway.cli.checks.check import Check, failed
from ropeway.errors import RopewayError

OLDEST_SQLITE = (3, 51, 3)
"""Before it, a WAL that several processes write can be corrupted."""

_INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")


def python() -> Check:
    """Say which Python this is."""
    system = f"{platform.system()} {platform.machine()}"
    fact = f"{platform.python_implementation()} {platform.python_version()} on {system}"
    if platform.system() == "Windows":
        return Check("python", "fail", fact, "workers need Linux or macOS")
    return Check("python", "ok", fact)


def ropeway() -> Check:
    """Say which ropeway this is."""
    return Check("ropeway", "ok", __version__)


def sqlite() -> Check:
    """Make a database in a temporary folder, and ask it for the version of its library."""
    from ropeway.backends.sqlite import Database

    try:
        with tempfile.TemporaryDirectory() as folder:
            database = Database(Path(folder) / "try.db")
            found = str(database.read(lambda execute: execute("select sqlite_version()").get))
            database.close()
    except RopewayError as error:
        return failed("sqlite", error)
    return judged_sqlite(found)


def judged_sqlite(found: str) -> Check:
    """Judge a version of the SQLite library."""
    try:
        fact = f"library {found}, by apsw {version('apsw')}"
    except PackageNotFoundError:
        fact = f"library {found}"
    if tuple(map(int, found.split(".")[:3])) < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        remedy = f"{needed} or later is needed: pip install --upgrade apsw"
        return Check("sqlite", "fail", f"{fact}, which can corrupt a shared database", remedy)
    return Check("sqlite", "ok", fact)


def inotify() -> Check:
    """Try to watch a folder, as every process that waits for jobs or results does."""
    from ropeway.backends.sqlite.hints import Watch

    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(Path(folder))
        available = watch.descriptor >= 0
        watch.close()
    try:
        limit = int(_INOTIFY_LIMIT.read_text())
    except (OSError, ValueError):
        limit = None
    return judged_inotify(available, limit)


def judged_inotify(available: bool, limit: int | None) -> Check:
    """Judge whether processes can be woken, of which each user may have `limit`."""
    if not available:
        raise_it = "raise fs.inotify.max_user_instances (sysctl)" if limit else ""
        fact = "not available: processes look every quarter of a second instead"
        return Check("inotify", "warn", fact, raise_it)
    if limit is not None and limit < 64:
        remedy = "raise fs.inotify.max_user_instances (sysctl) if many processes wait at once"
        return Check("inotify", "warn", f"only {limit} processes can be woken", remedy)
    allowed = "" if limit is None else f", for {limit} processes of a user"
    return Check("inotify", "ok", f"available{allowed}")
