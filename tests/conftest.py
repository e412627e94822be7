"""What every test gets: bounded waiting, no process left behind, and no silent skip in CI."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import resource
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload
from unittest import mock

import pytest

from tests.servers.process import running

pytest_plugins = ["tests.servers.fixtures"]

T = TypeVar("T")

# --- bounded waiting ------------------------------------------------------------------------------


class Eventually(Protocol):
    """Wait until `predicate()` is true and return what it said; fail after `timeout` seconds."""

    def __call__(self, predicate: Callable[[], T], timeout: float = 10.0) -> T: ...


class AsyncEventually(Protocol):
    """The same without blocking the loop; `predicate` is a plain or an async function."""

    @overload
    async def __call__(self, predicate: Callable[[], Awaitable[T]], timeout: float = 10.0) -> T: ...
    @overload
    async def __call__(self, predicate: Callable[[], T], timeout: float = 10.0) -> T: ...


def _pauses(timeout: float) -> Iterator[float]:
    """Yield how long to pause before each new look, from 1 to 50 ms, until the time is over."""
    deadline, pause = time.monotonic() + timeout, 0.001
    while time.monotonic() < deadline:
        yield pause
        pause = min(pause * 2, 0.05)


def wait_until(predicate: Callable[[], T], timeout: float = 10.0) -> T:
    """Do what the fixture `eventually` does."""
    said = predicate()
    for pause in _pauses(timeout):
        if said:
            return said
        time.sleep(pause)
        said = predicate()
    assert said, f"not within {timeout} s; the last answer was {said!r}"
    return said


async def _await(predicate: Callable[[], T | Awaitable[T]], timeout: float = 10.0) -> T:
    async def look() -> T:
        said = predicate()
        return await said if inspect.isawaitable(said) else said

    said = await look()
    for pause in _pauses(timeout):
        if said:
            return said
        await asyncio.sleep(pause)
        said = await look()
    assert said, f"not within {timeout} s; the last answer was {said!r}"
    return said


@pytest.fixture
def eventually() -> Eventually:
    """Return bounded waiting, in place of a sleep: `eventually(path.exists, timeout=5)`."""
    return wait_until


@pytest.fixture
def aeventually() -> AsyncEventually:
    """Return bounded waiting for an async test; the predicate may be async as well."""
    return _await


# --- no process left behind -----------------------------------------------------------------------
# Best effort, on Linux: the children of the test process, and every process that inherited the
# test's mark in its environment, so that orphans count whoever adopted them.

_MARK = "PYTEST_PROCESS_MARK"
_PROC = Path("/proc")
_STAY = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")  # by design
_GRACE = 2.0


@pytest.fixture(autouse=True)
def variables_stay() -> Iterator[None]:
    """Take back what a test, or a command that it calls in this process, sets for those it starts."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """Fail the test if a process that it started outlives it, and kill that process."""
    if not _PROC.joinpath("self/environ").exists():
        yield
        return
    before, reaped = set(_children()), _reaped()
    os.environ[_MARK] = mark = uuid.uuid4().hex
    yield
    os.environ.pop(_MARK, None)
    left: dict[int, str] = {}
    if not (_has_children() or _reaped() != reaped):
        return  # started nothing, so that nothing can be left
    for pause in _pauses(_GRACE):
        left = _left(mark, before)
        if not left:
            return
        time.sleep(pause)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    listing = "".join(f"\n  {pid}: {command}" for pid, command in sorted(left.items()))
    pytest.fail(f"the test left processes behind:{listing}", pytrace=False)


def _left(mark: str, before: set[int]) -> dict[int, str]:
    """Return the living processes of this test, with their command lines."""
    needle = f"{_MARK}={mark}".encode()
    pids = set(_children()) - before - running()
    pids |= {
        int(p.name) for p in _PROC.iterdir() if p.name.isdigit() and needle in _read(p, "environ")
    }
    commands = {pid: _read(_PROC / str(pid), "cmdline") for pid in pids - {os.getpid()}}
    return {
        pid: command.replace(b"\0", b" ").decode(errors="replace").strip()
        for pid, command in commands.items()
        if command and not any(stay in command for stay in _STAY)  # a zombie has no command line
    }


def _children() -> Iterator[int]:
    for task in _PROC.glob("self/task/*"):
        yield from map(int, _read(task, "children").split())


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reaped() -> int:
    """Return a number that grows whenever a child ends and is waited for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def _read(folder: Path, name: str) -> bytes:
    try:
        return folder.joinpath(name).read_bytes()
    except OSError:  # it has ended, or it is not ours
        return b""


# --- no silent skip in CI -------------------------------------------------------------------------


class SkipsFail:
    """A run in which something was skipped is not a passed run."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test; an expected failure is none."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that was skipped as a whole."""
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a passed run into a failed one."""
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say which they were."""
        if self.skipped:
            terminalreporter.section("skipped, which fails in CI", red=True)
            for line in self.skipped:
                terminalreporter.write_line(line)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.skipped.append(f"{report.nodeid}: {reason}")


# --- several processes ----------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes `--numprocesses=auto` is: the tests wait more than they compute.

    No more than eight, as each that needs a server starts one of its own.
    """
    return min(8, 2 * (os.cpu_count() or 1) + 1)


# --- the start of a run ---------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Under CI=true a skip is a failure. And whoever starts the tests does not decide on signals.

    A shell has what it starts in the background ignore these two, and so would all that tests start.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        config.pluginmanager.register(SkipsFail(), "skips-fail")
