"""Whether a worker is alive, and whether it consumes, is told apart, and never said without reason."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway.errors import ConfigError
from ropeway.worker.condition import Condition
from ropeway.worker.health import Health, HealthServer
from ropeway.worker.healthfile import HealthFile, judge
from ropeway.worker.notify import Notifier
from ropeway.worker.reporting import HOPELESS
from ropeway.worker.vitals import Vitals
from tests.conftest import Eventually
from tests.worker.rig import Rig, Worker
from tests.worker.test_outage import NAP, kept_by_one_of_ours

WELL = Condition("consuming")
AWAY = Condition("waiting", "nothing can be claimed for 7 s: it is\naway")


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    """Ask over HTTP; 0 if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else None
    except OSError:
        return 0, None
    finally:
        connection.close()


def test_alive_is_not_consuming(rig: Rig, eventually: Eventually, tmp_path: Path) -> None:
    """Over HTTP and in the file: consuming, away from its store, quiet, stopped, and gone."""
    tasks = rig.tasks(NAP)
    port, file = free_port(), tmp_path / "health"
    worker = rig.worker("--health-port", str(port), "--health-file", str(file))
    eventually(lambda: ask(port, "/ready")[0] == 200)
    assert ask(port, "/health")[1] == {
        "worker": tasks.app.workers.ls()[0].holder,
        "pid": worker.pid,
        "state": "consuming",
        "consuming": True,
        "why": "",
    }
    eventually(lambda: judge(file) == "")
    with kept_by_one_of_ours(rig):
        eventually(lambda: ask(port, "/ready")[0] == 503, 15)
        said = ask(port, "/ready")[1]
        assert said["state"] == "waiting"
        assert said["why"].startswith("nothing can be claimed for ")
        assert ask(port, "/live")[0] == 200
        eventually(lambda: "waiting: nothing can be claimed" in judge(file), 3)
        assert judge(file, alive=True) == ""
    eventually(lambda: ask(port, "/ready")[0] == 200, 3)
    worker.signal(signal.SIGTSTP)
    eventually(lambda: ask(port, "/ready")[1]["why"] == "it was told to claim nothing more")
    os.kill(worker.pid, signal.SIGSTOP)
    eventually(lambda: "has not written since" in judge(file, oldest=1, alive=True), 5)
    os.kill(worker.pid, signal.SIGCONT)
    eventually(lambda: ask(port, "/ready")[0] == 200)
    assert worker.stop() == 0
    assert "there is no file" in judge(file, alive=True)
    assert list(tmp_path.glob(".health*")) == []
    assert ask(port, "/live")[0] == 0


def test_a_killed_worker_is_not_well(rig: Rig, eventually: Eventually, tmp_path: Path) -> None:
    """Its file stays, and grows old."""
    rig.tasks(NAP)
    file = tmp_path / "health"
    worker = rig.worker("--health-file", str(file))
    eventually(lambda: judge(file) == "")
    worker.kill()
    eventually(lambda: "has not written since" in judge(file, oldest=0.5, alive=True))


def test_what_cannot_be_told_ends_the_worker_at_once(rig: Rig, tmp_path: Path) -> None:
    """A port that is taken, a folder that is not there: one error, and no half a worker."""
    rig.tasks(NAP)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        worker = rig.worker("--health-port", port, ready=False)
        assert worker.wait() == 10
    assert f"the health port 127.0.0.1:{port} cannot be used" in worker.said()
    worker = rig.worker("--health-file", str(tmp_path / "no" / "file"), ready=False)
    assert worker.wait() == 10
    assert "cannot be written: No such file" in worker.said()
    assert "Traceback" not in worker.said()


# --- the parts ------------------------------------------------------------------------------------


def health(condition: Condition = WELL) -> Health:
    """Return what is told."""
    return Health.of("web1-7", condition)


@contextlib.asynccontextmanager
async def served(condition: Condition = WELL):  # type: ignore[no-untyped-def]  # an async iterator
    """Serve a condition on a port of the system's choice; yields the port."""
    server = HealthServer(lambda: health(condition), "127.0.0.1", 0)
    await server.open()
    try:
        yield server.port
    finally:
        server.close()


async def test_questions() -> None:
    """Paths, methods, and what is no question at all."""
    async with served(AWAY) as port:
        for question, expected in {
            ("/live", "GET"): 200,
            ("/live", "HEAD"): 200,
            ("/ready", "GET"): 503,
            ("/health?x=1", "GET"): 503,
            ("/", "GET"): 404,
            ("/live", "POST"): 405,
        }.items():
            status, _ = await asyncio.to_thread(ask, port, *question)
            assert status == expected, question
        for garbage in (b"\r\n\r\n", b"\x00" * 100_000, b"GET", b"GET /live\n\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError):
                writer.write(garbage)
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 5)
            writer.close()
        assert (await asyncio.to_thread(ask, port, "/live"))[0] == 200


async def test_silent_clients_do_not_keep_others_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that ask nothing are bounded in number and time."""
    monkeypatch.setattr("ropeway.worker.health._PATIENCE", 0.3)
    async with served() as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in silent)), 5)
        assert (await asyncio.to_thread(ask, port, "/ready"))[0] == 200
        for _, writer in silent:
            writer.close()


def test_a_file_is_judged(tmp_path: Path) -> None:
    """By what it says, and by its age on a clock that cannot be set; half a file is none."""
    path = tmp_path / "health"
    assert "there is no file" in judge(path)
    file = HealthFile(path)
    file.open(health())
    assert judge(path) == ""
    time.sleep(0.02)
    assert "the last time was 0 s ago" in judge(path, oldest=0.01)
    file.write(health(AWAY))
    assert judge(path) == f"worker web1-7 is waiting: {AWAY.why}"
    assert judge(path, alive=True) == ""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in judge(path)
    future = json.loads(whole)
    future["boot"] += 1e6
    path.write_text(json.dumps(future))
    assert "before the machine was started" in judge(path)
    with pytest.raises(ConfigError, match="cannot be written"):
        HealthFile(tmp_path / "no" / "file").open(health())


# --- the service manager --------------------------------------------------------------------------


@contextlib.contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """Listen as a service manager does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        listening.setblocking(False)
        yield listening


def heard(listening: socket.socket) -> list[str]:
    """Return the words that have come."""
    words: list[str] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            words += listening.recv(4096).decode().splitlines()
    return words


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_is_told(
    rig: Rig,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    abstract: bool,
) -> None:
    """When it is ready, that it lives, what it does, that it stops; a stopped one says nothing."""
    rig.tasks(NAP)
    address = f"@ropeway-{os.getpid()}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    words: list[str] = []

    def has(word: str) -> bool:
        words.extend(heard(listening))
        return word in words

    with manager(address) as listening:
        worker: Worker = rig.worker()
        eventually(lambda: has("READY=1"))
        assert "STATUS=starting: it has not begun to fetch" in words
        words.clear()
        eventually(lambda: words.count("WATCHDOG=1") > 3 or has("x"), 5)
        os.kill(worker.pid, signal.SIGSTOP)
        eventually(lambda: not heard(listening), 1)
        time.sleep(0.5)
        assert heard(listening) == []
        os.kill(worker.pid, signal.SIGCONT)
        words.clear()
        eventually(lambda: has("WATCHDOG=1"))
        assert "READY=1" not in words
        # It is not the children's to tell: a task that starts a service would speak for the worker.
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{worker.children[0]}/environ").read_bytes()
        assert worker.stop() == 0


def test_what_is_told_and_when() -> None:
    """Ready once it consumes, the status when it changes, stopping once; no watchdog if hopeless."""
    told: list[dict[str, str]] = []
    notifier = Notifier("x", 1.0)
    notifier.tell = lambda **fields: told.append(fields)  # type: ignore[method-assign]  # heard here
    facts: list[tuple[Condition, bool]] = [
        (Condition("starting", "it has not begun to fetch"), False),
        (WELL, False),
        (WELL, False),
        (AWAY, False),
        (AWAY, True),
        (Condition("draining", "x"), True),
        (Condition("draining", "x"), False),
    ]
    vitals = Vitals(lambda: health(facts[0][0]), lambda: facts[0][1], None, notifier)
    while facts:
        vitals.run_once()
        facts.pop(0)
    alive = {"WATCHDOG": "1"}
    assert told == [
        {"STATUS": "starting: it has not begun to fetch"},
        alive,
        {"STATUS": "consuming"},
        {"READY": "1"},
        alive,
        alive,
        {"STATUS": f"waiting: {AWAY.why}"},
        alive,
        {"STATUS": "draining: x"},
        {"STOPPING": "1"},
        alive,
    ]
    assert HOPELESS >= 120


def test_the_environment_of_children_says_nothing_of_the_manager() -> None:
    """What the manager said is taken out; a watchdog that is meant for another process is none."""
    given = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1", "A": "b"}
    notifier = Notifier.of(given)
    assert given == {"A": "b"}
    assert (notifier.listened_to, notifier.watchdog) == (True, 0.0)
    assert Notifier.of({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000000"}).watchdog == 2.0
    assert not Notifier.of({}).listened_to


def test_a_manager_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    """Nor is one that does not listen; several words are one message, each on one line."""
    address = str(tmp_path / "notify")
    notifier = Notifier(address, 0.0)
    notifier.tell(READY="1")
    with manager(address) as listening:
        notifier.tell(STATUS="a\nb", READY="1")
        assert heard(listening) == ["STATUS=a b", "READY=1"]
    notifier.tell(READY="1")
    notifier.close()
