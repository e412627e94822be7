"""`ropeway bench`: figures, and nothing left of what they were measured with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropeway.cli.look import by_hand
from ropeway.cli.measuring import measuring
from ropeway.connect import Connection
from ropeway.errors import Refused
from ropeway.pauses import paused
from ropeway.stepping import step
from ropeway.store import Backend, Filter
from tests.cli import support
from tests.cli.support import call, database
from tests.servers.valkey import Valkey


def left(backend: Backend) -> tuple[int, list[str], list[str]]:
    """Return how many jobs there are, the queues, and those that are paused."""
    jobs = len(step(backend.search(Filter())).jobs)
    return jobs, [each.queue for each in step(backend.stats())], list(step(paused(backend)))


@pytest.mark.parametrize(("what", "lines"), [("enqueue", 2), ("roundtrip", 1)])
def test_figures_and_nothing_else(jobs: dict[str, str], what: str, lines: int) -> None:
    """What was there is there as it was."""
    with database() as backend:
        before = left(backend)
    found = call("bench", what, "--jobs", "150", "--json")
    assert found.exit_code == 0
    records = json.loads(found.stdout)
    assert [each["jobs"] for each in records] == [150] * lines
    for each in records:
        assert 0 < each["p50"] <= each["p95"] <= each["p99"]
        assert each["rate"] > 0
    assert "not how much it can do" in found.stderr.replace(" and not", " not")
    with database() as backend:
        assert left(backend) == before
    told = [each["target"] for each in json.loads(call("audit", "--json").stdout)]
    assert all(target.startswith("ropeway-bench-") for target in told[:3])


@pytest.mark.timeout(120)
def test_a_worker(jobs: dict[str, str]) -> None:
    """One is started, does what it is given, and is gone; jobs of others it leaves alone."""
    with database() as backend:
        before = left(backend)
    found = call("bench", "worker", "--jobs", "20", "--json")
    assert found.exit_code == 0, found.stderr
    records = json.loads(found.stdout)
    assert [each["jobs"] for each in records] == [20, 20, 20]
    for each in records:
        assert 0 <= each["p50"] <= each["p95"] <= each["p99"] and each["rate"] > 0
    with database() as backend:
        assert left(backend) == before
    assert json.loads(call("workers", "ls", "--json").stdout) == []


@pytest.mark.timeout(120)
def test_a_worker_that_does_not_work(jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told of, and nothing is left of its jobs."""
    monkeypatch.setattr("ropeway.cli.benchworker.APP", "ropeway.cli.nowhere")
    with database() as backend:
        before = left(backend)
    found = call("bench", "worker", "--jobs", "5")
    assert found.exit_code == 9 and "does not work" in found.stderr
    with database() as backend:
        assert left(backend) == before


def test_it_is_cleaned_whatever_happens(jobs: dict[str, str]) -> None:
    """An interrupt in the middle, and somebody who claims what is not theirs."""
    with database() as backend:
        before = left(backend)
        with pytest.raises(KeyboardInterrupt), measuring(backend, by_hand(backend), 10) as place:
            list(place.enqueue(5))
            assert list(step(paused(backend))) == [place.queue]
            raise KeyboardInterrupt
        assert left(backend) == before
        wrong = pytest.raises(Refused, match="somebody else")
        with wrong, measuring(backend, by_hand(backend), 10) as place:
            list(place.enqueue(2))
            place.roundtrip(1)
        assert left(backend) == before


def test_where_nothing_is_measured(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A protected context, a pair, and a database that is not there."""
    with database():
        pass
    assert call("bench", "enqueue", "-u", "sqlite:///none.db").exit_code == 7
    monkeypatch.delenv("ROPEWAY_URL")
    call("contexts", "add", "prod", "--url", support.url(), "--protected")
    assert call("bench", "roundtrip", "-C", "prod", "--jobs", "1").exit_code == 3
    assert (
        call("bench", "roundtrip", "-C", "prod", "--jobs", "1", "--confirm", "prod").exit_code == 0
    )
    monkeypatch.setenv("ROPEWAY_BROKER", "amqp://localhost")
    assert call("bench", "roundtrip").exit_code == 2


def test_on_servers(here: Path, postgres_url: str, valkey: Valkey) -> None:
    """The same figures by the same verbs, and as little left."""
    for url in (postgres_url, valkey.url):
        backend = Connection(url).blocking()
        step(backend.open())
        before = left(backend)
        for what in ("enqueue", "roundtrip"):
            found = call("bench", what, "--jobs", "40", "-u", url)
            assert found.exit_code == 0, found.output
        assert left(backend) == before
        step(backend.close())
