"""`ropeway doctor` on PostgreSQL: what is promised, what is not, and the setting that would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ropeway.cli.checks import postgres
from tests.cli.support import call
from tests.servers.postgres import Postgres


def checks(url: str, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> dict[str, dict[str, Any]]:
    """Return the findings by name."""
    monkeypatch.setenv("ROPEWAY_URL", url)
    found = call("doctor", "--json")
    assert found.exit_code == code, found.output
    return {check["name"]: check for check in json.loads(found.stdout)}


def test_a_durable_server_is_measured(
    tasks: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it is, what time it is there, and how long a flushed change takes."""
    found = checks(postgres_url, monkeypatch)
    assert "schema ropeway" in found["postgres"]["fact"]
    for name in ("distance", "clock", "change", "log", "failover", "queues"):
        assert found[name]["status"] == "ok", found[name]
    assert "outlives a power cut" in found["log"]["fact"]
    assert "idle_in_transaction_session_timeout" in found["sessions"]["remedy"]


def test_what_the_server_is_set_to_is_said(
    tasks: Path, postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the database, and not what ropeway sets for its own sessions."""
    database = postgres_url.rpartition("/")[2]
    postgres.sql(
        f"alter database {database} set idle_in_transaction_session_timeout = '5min'", database
    )
    postgres.sql(f"alter database {database} set synchronous_commit = off", database)
    found = checks(postgres_url, monkeypatch)
    assert found["sessions"] == {
        "name": "sessions",
        "status": "ok",
        "fact": "a transaction left open ends after 300 s",
        "remedy": "",
    }
    assert "ropeway's are flushed" in found["log"]["fact"]


def test_no_server_is_one_line(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That says what to do; the exit code is 1."""
    found = checks("postgresql://me:hunter2@127.0.0.1:1/jobs", monkeypatch, code=1)
    assert found["postgres"]["status"] == "fail"
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize(
    ("settings", "status", "fact"),
    [
        ({"fsync": "on", "full_page_writes": "on"}, "ok", "outlives a power cut"),
        ({"fsync": "off"}, "fail", "destroy the whole database"),
        ({"full_page_writes": "off"}, "fail", "destroy the whole database"),
        ({"synchronous_commit": "off"}, "ok", "ropeway's are flushed"),
    ],
)
def test_the_log(settings: dict[str, str], status: str, fact: str) -> None:
    """What an acknowledged change outlives on one machine."""
    check = postgres.judged_log(settings)
    assert (check.status, fact in check.fact) == (status, True), check
    assert bool(check.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("names", "commit", "replicas", "status", "fact"),
    [
        ("", "on", 0, "ok", "no standby is seen"),
        ("", "on", 1, "warn", "loses what was sent last"),
        ("*", "on", 1, "ok", "on a standby as well"),
        ("*", "on", 0, "fail", "nothing is acknowledged"),
        ("*", "local", 1, "warn", "no standby is waited for"),
    ],
)
def test_failover(names: str, commit: str, replicas: int, status: str, fact: str) -> None:
    """What the loss of a machine means."""
    settings = {"synchronous_standby_names": names, "synchronous_commit": commit}
    check = postgres.judged_failover(settings, replicas)
    assert (check.status, fact in check.fact) == (status, True), check


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("missing", "ok"),
        ("current", "ok"),
        ("newer", "ok"),
        ("behind", "fail"),
        ("too new", "fail"),
    ],
)
def test_tables(state: str, status: str) -> None:
    """Whether they fit this ropeway."""
    check = postgres.judged_tables("18.0", "ropeway", state)
    assert check.status == status and bool(check.remedy) == (status == "fail")
