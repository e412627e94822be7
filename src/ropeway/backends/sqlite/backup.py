"""A copy of a database that is in use, and a database from a copy when nobody uses it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
from msgspec import Struct

from ropeway.backends.sqlite import statements
from ropeway.backends.sqlite.migrations import check_needs
from ropeway.backends.sqlite.opened import kept_locked
from ropeway.backends.sqlite.opening import refuse_network, translated
from ropeway.backends.sqlite.turnstile import Turnstile
from ropeway.errors import BackendUnavailable, Backpressure, Refused

Progress = Callable[[int, int], None]
"""Is told how many pages are done, and of how many."""

_PAGES = 2_000
_PATIENCE = 5.0
_MAGIC = b"SQLite format 3\0"
_IN_USE = 128
"""The byte of the shared-memory file on which every connection in WAL mode keeps a lock."""


class Copy(Struct, frozen=True, kw_only=True):
    """What a copy holds, once it was found whole."""

    file: str
    bytes: int
    jobs: int
    schema: int


def backup(database: Path, target: Path, progress: Progress, *, overwrite: bool = False) -> Copy:
    """Copy a database, whoever reads and writes it meanwhile, as it is at one instant.

    What was acknowledged before the call is in the copy. Nobody is held up. The copy appears
    under its name when it is on the disk and its integrity is checked. Raises `Refused` if there
    is a file of that name, unless it may be overwritten.
    """
    if target.exists() and not overwrite:
        raise Refused(f"there is a file {target}", hint="name another, or add --overwrite")
    if target.exists() and target.samefile(database):
        raise Refused(f"{target} is the database itself", hint="name another file")
    made = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with _plainly("cannot write the copy", target):
            with translated():
                _copy(database, made, progress)
            found = inspect(made)
            _flush(made)
            os.replace(made, target)
            _flush(target.parent)
    finally:
        for left in (made, *_beside(made)):
            left.unlink(missing_ok=True)
    return Copy(file=str(target), bytes=found.bytes, jobs=found.jobs, schema=found.schema)


def _copy(database: Path, made: Path, progress: Progress) -> None:
    source, copy = apsw.Connection(str(database)), apsw.Connection(str(made))
    try:
        # A read transaction around the whole: else every commit of others would begin it anew.
        source.execute("begin; select 1 from sqlite_schema").fetchall()
        with copy.backup("main", source, "main") as pages:
            while not pages.done:
                pages.step(_PAGES)
                progress(pages.page_count - pages.remaining, pages.page_count)
        # No holder of a lease outlives its database: where it is restored all are void at once.
        copy.execute(statements.SET_META, ("boot", "a copy"))
        copy.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        copy.close()
        source.close()


def inspect(copy: Path) -> Copy:
    """Look whether a file is a whole copy of a database; raises `BackendUnavailable` if not."""
    with _plainly("cannot read", copy), copy.open("rb") as file:
        if file.read(16) != _MAGIC:
            raise BackendUnavailable(f"{copy} is no SQLite database", hint="name a backup")
    if any(log.exists() and log.stat().st_size for log in _beside(copy)[:1]):
        raise BackendUnavailable(
            f"{copy} is a database in use, with a log beside it: its file alone is not all of it",
            hint="make a copy of it with `ropeway backup`",
        )
    # Immutable: so that nothing is locked, or made beside it.
    uri = f"{copy.absolute().as_uri()}?immutable=1"
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    except apsw.Error as error:
        raise BackendUnavailable(f"{copy} cannot be opened: {error}") from None
    try:
        return _inspected(copy, connection)
    except apsw.Error as error:
        raise BackendUnavailable(
            f"{copy} is damaged, or not ropeway's: {error}", hint="use another backup"
        ) from None
    finally:
        connection.close()


def _inspected(copy: Path, connection: apsw.Connection) -> Copy:
    verdict = connection.execute("pragma integrity_check(1)").get
    if verdict != "ok":
        raise BackendUnavailable(f"{copy} is damaged: {verdict}", hint="use another backup")
    check_needs(connection.execute)
    jobs = connection.execute("select count(*) from job").get
    schema = connection.execute("pragma user_version").get
    return Copy(file=str(copy), bytes=copy.stat().st_size, jobs=jobs, schema=schema)


def restore(copy: Path, database: Path) -> Path | None:
    """Put a copy in the place of a database; returns where the one that was there is now.

    Raises `BackendUnavailable` if the copy is not whole, and `Refused` while any process has the
    database open; nothing is changed then.
    """
    inspect(copy)
    refuse_network(database)
    made = database.with_name(f"{database.name}.{os.getpid()}.part")
    with _plainly("cannot restore", database):
        database.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(copy, made)
            _flush(made)
            inspect(made)
            with _alone(database):
                return _exchange(made, database)
        finally:
            made.unlink(missing_ok=True)


def _exchange(made: Path, database: Path) -> Path | None:
    aside = None
    if database.exists():
        aside = database.with_name(f"{database.name}.before-{time.strftime('%Y%m%dT%H%M%S')}")
        log, memory = _beside(database)
        # Its log first: a database without its log is an older one, a log alone is nothing.
        if log.exists():
            log.rename(_beside(aside)[0])
        database.rename(aside)
        memory.unlink(missing_ok=True)
    os.replace(made, database)
    _flush(database.parent)
    return aside


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Have nobody open the database during the block; raises `Refused` if somebody has it open."""
    turnstile = Turnstile(database)
    try:
        if not turnstile.enter(_PATIENCE):
            raise kept_locked(turnstile)
        try:
            with _unused(_beside(database)[1]):
                yield
        finally:
            turnstile.leave()
    finally:
        turnstile.close()


@contextmanager
def _unused(memory: Path) -> Iterator[None]:
    try:
        descriptor = os.open(memory, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield  # it is there whenever the database is open
        return
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _IN_USE)
        except OSError:
            raise Refused(
                f"{_users(descriptor)} the database open",
                hint="stop the workers and the programs that send, then restore",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _users(descriptor: int) -> str:
    """Name the processes that keep a lock on the file: see proc_locks(5)."""
    inode = os.fstat(descriptor).st_ino
    with contextlib.suppress(OSError):
        held = re.compile(rf"^\d+: POSIX .* (\d+) [0-9a-f]+:[0-9a-f]+:{inode} ", re.MULTILINE)
        pids = sorted(set(map(int, held.findall(Path("/proc/locks").read_text()))) - {0, -1})
        if len(pids) == 1:
            return f"process {pids[0]} has"
        if pids:
            return f"processes {', '.join(map(str, pids))} have"
    return "another process has"


def _beside(database: Path) -> tuple[Path, Path]:
    """The log and the shared memory of a database."""
    return Path(f"{database}-wal"), Path(f"{database}-shm")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _plainly(what: str, path: Path) -> Iterator[None]:
    """Turn errors of the system into ropeway's."""
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        kind = Backpressure if full else BackendUnavailable
        raise kind(
            f"{what} {path}: {error.strerror or error}", hint="check its folder and the free space"
        ) from None
