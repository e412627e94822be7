"""Who is measured on which server, and what they are given there."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks import lineups, scenarios, servers
from benchmarks.apps.verbs import URL
from benchmarks.contender import HERE, KINDS, POSTGRES, RABBITMQ, REDIS, SQLITE, Contender
from benchmarks.environment import NEWER, newer_python
from benchmarks.figures import Measure, Sample
from benchmarks.lineups import postgres, rabbitmq, redis, sqlite
from benchmarks.pages import listed
from benchmarks.processes import Failed
from benchmarks.recorder import FOLDER, hit
from benchmarks.session import Session
from benchmarks.timing import WARM_UP, Watched
from tests.conftest import Eventually
from tests.servers.valkey import Valkey


def uninstalled(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Contender]:
    """Return all who are measured, with nothing installed."""
    for module in (sqlite, redis, postgres, rabbitmq):
        monkeypatch.setattr(module, "environment", lambda folder, *_, **__: folder)
    monkeypatch.setattr(redis, "newer_python", lambda _: sys.executable)
    found, missing = lineups.had(lineups.peers(kind).values(), tmp_path)
    assert not missing
    return [*lineups.ours(kind), *found]


@pytest.mark.parametrize("kind", KINDS)
def test_contenders_are_in_scenarios_that_there_are(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A name that is misspelt would leave a column empty without a word."""
    everyone = uninstalled(kind, monkeypatch, tmp_path)
    assert {each.on for each in everyone} == {kind}
    assert set(scenarios.ON[kind]) == set().union(
        *(each.scenarios for each in everyone if each.ours)
    )
    assert set(scenarios.ON[kind]) >= set().union(*(each.scenarios for each in everyone))
    names = [(each.label, name) for each in everyone for name in each.scenarios]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", [REDIS, POSTGRES, RABBITMQ])
def test_every_contender_on_a_server_says_what_it_promises(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who takes a task before its run does less than who settles it after, and that is read."""
    for each in uninstalled(kind, monkeypatch, tmp_path):
        assert each.promise.split(",")[0] in {"early", "late"}
        assert each.kept == ("kept" in each.promise) or each.name == "ardiq"
        module = f"benchmarks/apps/{each.module}.py"
        assert (Path(__file__).parents[2] / module).exists()


def test_a_peer_that_cannot_be_had_does_not_keep_the_others_away(tmp_path: Path) -> None:
    """It is told, and the rest is measured."""

    def missing(_: Path) -> list[Contender]:
        raise Failed("it needs a newer Python")

    one = lineups.ours(SQLITE)[0]
    assert lineups.had([missing, lambda _: [one]], tmp_path) == ([one], ["it needs a newer Python"])


def test_a_newer_python_is_looked_for_where_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And where there is none, the way to name one is told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(NEWER, sys.executable)
    assert newer_python("mayu") == sys.executable
    monkeypatch.delenv(NEWER)
    with pytest.raises(Failed, match=f"mayu needs Python 3.13 or later; name one in {NEWER}"):
        newer_python("mayu")


def test_several_are_started_and_ended_together(tmp_path: Path, eventually: Eventually) -> None:
    """A worker that outlived its measurement would take part in the next one."""
    code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1], str(os.getpid())).touch(); time.sleep(60)"
    command = [sys.executable, "-m", "benchmarks.several", "2", sys.executable, "-c", code]
    parent = subprocess.Popen([*command, str(tmp_path)], cwd=Path(__file__).parents[2])
    eventually(lambda: len(list(tmp_path.iterdir())) == 2)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(10) == signal.SIGTERM
    assert not any(Path(f"/proc/{path.name}").exists() for path in tmp_path.iterdir())


def test_each_measurement_on_redis_finds_an_empty_server(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its log is flushed every second, its processor time is its own, and it goes afterwards."""
    one = lineups.ours(REDIS)[0]
    contender = Contender(
        name="a shell",
        module="",
        python=one.python,
        worker=("sh", "-c", f"echo {HERE} ${URL}; sleep 60"),
        processes=1,
        scenarios=frozenset(),
        on=REDIS,
    )
    for _ in range(2):
        with Session(contender, tmp_path) as session:
            port = used(session)
        with pytest.raises(OSError, match="refused"):
            told(port, "PING")
    assert servers.used_seconds() == 0


def used(session: Session) -> int:
    """Use a server as a measurement does; returns its port."""
    server = session.server
    assert server is not None
    port = urlsplit(server.url).port
    assert port is not None
    assert told(port, "DBSIZE") == ":0"
    assert "everysec" in told(port, "CONFIG GET appendfsync")
    told(port, "SET a b")
    assert 0 < server.cpu_seconds() < 60
    worker = session.worker()
    session.wait(lambda: worker.said().split() == [server.url] * 2, "its URL, twice")
    return port


def told(port: int, command: str) -> str:
    """Ask a server for something."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(1000).decode().strip()


def test_the_start_of_a_run_is_timed_from_before_its_send(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the instant that the run itself has noted, whenever that is looked at."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    watched = Watched()
    for _ in range(WARM_UP + 1):
        before = time.time()
        watched.sends()
        assert not watched.has_started()
        hit()
        after = time.time()
        time.sleep(0.01)
        assert watched.has_started()
    (took,) = watched.answer()["seconds"]
    assert 0 <= took <= after - before


def test_many_contenders_have_a_row_each() -> None:
    """With our median by theirs beside each figure that is compared."""
    samples = [
        Sample("s", who, number, {"x": x, "y": 1.0})
        for who, xs in (("us [late]", (8.0, 4.0)), ("it [early]", (2.0, 2.0)))
        for number, x in enumerate(xs)
    ]
    measures = [Measure("x", "an x", compared=True), Measure("y", "a y")]
    assert listed(samples, measures, ["us [late]"]) == [
        "| Median of 2 rounds | an x | ratio | a y |",
        "|---|---|---|---|",
        "| us [late] | 6.00 |  | 1.00 |",
        "| it [early] | 2.00 | 3.00 (2.00 to 4.00) | 1.00 |",
    ]
