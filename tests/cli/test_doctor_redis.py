"""`ropeway doctor` on Redis: what is promised, what is not, and the setting that would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ropeway.backends.redis.address import parse
from ropeway.cli.checks import redis, server
from ropeway.cli.checks.check import Check
from tests.cli.support import call
from tests.servers.valkey import Valkey
from tests.servers.valkeys import said

MIB = 2**20


def checks(url: str, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> dict[str, dict[str, Any]]:
    """Return the findings by name."""
    monkeypatch.setenv("ROPEWAY_URL", url)
    found = call("doctor", "--json")
    assert found.exit_code == code, found.output
    return {check["name"]: check for check in json.loads(found.stdout)}


def test_a_durable_server_is_measured(
    tasks: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it is, what time it is there, and how long a change takes; nothing is left there."""
    said(valkey.port, "FLUSHALL")
    found = checks(valkey.url, monkeypatch)
    assert found["redis"]["fact"].startswith("valkey ")
    assert found["distance"]["fact"].endswith(" ms") and found["change"]["status"] == "ok"
    assert found["clock"]["status"] == found["log"]["status"] == found["queues"]["status"] == "ok"
    assert "outlives a power cut" in found["log"]["fact"]
    assert said(valkey.port, "DBSIZE").startswith(":0")


def test_what_everysec_loses_is_said(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the settings may not be asked for: then it is unknown, and not well."""
    own = Valkey(tmp_path / "valkey", appendfsync="everysec")
    own.start()
    try:
        found = checks(own.url, monkeypatch)
        assert found["log"]["status"] == "warn"
        assert "a power cut loses what was sent in the last second" in found["log"]["fact"]
        assert "appendfsync always" in found["log"]["remedy"]
        said(own.port, "ACL SETUSER jobs on >hunter2 ~* &* +@all -config -info")
        found = checks(own.url.replace("//", "//jobs:hunter2@"), monkeypatch)
        assert "unknown" in found["log"]["fact"] and "unknown" in found["memory"]["fact"]
        assert "hunter2" not in json.dumps(found)
    finally:
        own.stop()


def test_no_server_is_one_line(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That says what to do; the exit code is 1."""
    found = checks("redis://:hunter2@127.0.0.1:1/0", monkeypatch, code=1)
    assert found["redis"]["status"] == "fail" and "cannot be reached" in found["redis"]["fact"]


@pytest.mark.parametrize(
    ("told", "url", "status", "fact"),
    [
        ({"maxmemory": "0", "maxmemory_policy": "noeviction"}, "", "warn", "without a limit"),
        ({"maxmemory": f"{100 * MIB}", "maxmemory_policy": "noeviction"}, "", "ok", "10 MiB used"),
        ({"maxmemory": f"{11 * MIB}", "maxmemory_policy": "volatile-lru"}, "", "warn", "of 11"),
        ({"maxmemory": f"{99 * MIB}", "maxmemory_policy": "volatile-lru"}, "", "ok", "of 99"),
        ({"maxmemory": "1", "maxmemory_policy": "allkeys-lru"}, "", "warn", "thrown away"),
        (None, "", "warn", "unknown"),
    ],
)
def test_memory(told: dict[str, str] | None, url: str, status: str, fact: str) -> None:
    """Whether there is room, and what becomes of jobs when there is none."""
    facts = None if told is None else {"used_memory": f"{10 * MIB}", **told}
    check = redis.judged_memory(facts, parse("redis://"))
    assert (check.status, fact in check.fact) == (status, True), check
    assert bool(check.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("facts", "settings", "status", "fact"),
    [
        ({"aof_enabled": "1"}, {"appendfsync": "always"}, "ok", "outlives a power cut"),
        ({"aof_enabled": "1"}, {"appendfsync": "everysec"}, "warn", "the last second or two"),
        ({"aof_enabled": "1"}, {"appendfsync": "no"}, "warn", "half a minute"),
        ({"aof_enabled": "0"}, {"appendfsync": "always"}, "warn", "a restart loses every job"),
        ({"aof_enabled": "1"}, None, "warn", "unknown"),
        (None, {"appendfsync": "always"}, "warn", "unknown"),
        (
            {"aof_enabled": "1", "aof_last_write_status": "err"},
            {"appendfsync": "always"},
            "fail",
            "cannot be written",
        ),
    ],
)
def test_the_log(
    facts: dict[str, str] | None, settings: dict[str, str] | None, status: str, fact: str
) -> None:
    """What an acknowledged change outlives on one machine."""
    check = redis.judged_log(facts, settings)
    assert (check.status, fact in check.fact) == (status, True), check
    assert bool(check.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("replicas", "least", "url", "status", "fact"),
    [
        (0, "0", "redis://", "ok", "while this server is away"),
        (1, "0", "redis://", "warn", "may lose what was sent last"),
        (1, "0", "redis+sentinel://h/m", "warn", "may lose what was sent last"),
        (0, "0", "redis+cluster://h", "warn", "may lose what was sent last"),
        (0, "0", "redis://?replicas=1", "fail", "nothing is acknowledged"),
        (2, "0", "redis://?replicas=1", "ok", "the one chosen may be another"),
        (2, "1", "redis://?replicas=1", "ok", "1 of 2 replicas"),
    ],
)
def test_failover(replicas: int, least: str, url: str, status: str, fact: str) -> None:
    """What the loss of a machine means."""
    check = redis.judged_failover(
        {"connected_slaves": f"{replicas}"}, {"min-replicas-to-write": least}, parse(url)
    )
    assert (check.status, fact in check.fact) == (status, True), check


def test_distance_and_clock() -> None:
    """Far away and wrong are warned of; near and right are well."""
    assert server.judged_trip([0.001] * 20).status == "ok"
    assert server.judged_trip([0.05] * 20).status == "warn"
    assert server.judged_clock(-0.2) == Check("clock", "ok", "the server's clock is 200ms behind")
    assert server.judged_clock(60).status == "warn"


def test_commands_on_sqlite_know_nothing_of_redis(tmp_path: Path) -> None:
    """Neither the backend nor its library is imported where nobody asked for it."""
    program = (
        "import sys, ropeway.cli.commands.doctor; print([m for m in sys.modules if 'redis' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['ropeway.cli.checks.redis']"
