"""`ropeway limits`: what is limited, what of it is used, and changes by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ropeway.claims import Claim, Limit
from ropeway.cli import limitview
from ropeway.limiting import LimitInfo, bring_into_force
from ropeway.message import Message
from ropeway.metering import LimitUse
from ropeway.operate.limit import allows
from ropeway.stepping import step
from tests.cli import support
from tests.cli.support import call, process

DB, API = Limit(name="db", in_flight=2), Limit(name="api", rate=0.5, burst=3)


def started(*limits: Limit) -> None:
    """Do what a worker does whose code declares these limits, when it starts."""
    with support.database() as backend:
        step(bring_into_force(backend, limits))


@pytest.fixture
def limited(here: Path) -> None:
    """Declare two limits; two calls that name both run, and three that name one wait."""
    started(DB, API)
    with support.database() as backend:
        both = [Message(id=f"{n:036}", task="t", limits=("db", "api", "db")) for n in range(2)]
        support.send(backend, *both)
        assert len(step(backend.receive([Claim("default", 9)], "holder", 60))) == 2
        more = [Message(id=f"{n:036}", task="t", limits=("db",)) for n in range(2, 5)]
        support.send(backend, *more)
        support.send(backend, Message(id=f"{9:036}", task="t", limits=("db",), delay=3600.0))
        assert step(backend.receive([Claim("default", 9)], "holder", 60)) == []


def shown(name: str) -> Any:
    """What is told of a limit."""
    return json.loads(call("limits", "show", name, "--json").stdout)


# --- ls, show -------------------------------------------------------------------------------------


def test_ls(limited: None) -> None:
    """A line for each limit: what it allows, what runs, what may start, what waits."""
    found = call("limits", "ls")
    assert (found.exit_code, found.stderr) == (0, "")
    assert [line.split("\t") for line in found.stdout.splitlines()] == [
        ["api", "30 a minute, 3 after a pause", "2", "1", "0", "-"],
        ["db", "2 at once", "2", "0", "3", "-"],
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("json", r'\[\s*\{\s*"limit": "api"'),
        ("jsonl", r'\{"limit": "api",.*\n\{"limit": "db",'),
        ("csv", r"limit,in_flight,rate,burst,running,.*\napi,,0.5,3,2,1,"),
    ],
)
def test_ls_for_programs(limited: None, kind: str, expected: str) -> None:
    """As every list: JSON, JSON lines and CSV, with all fields or some."""
    found = call("limits", "ls", "-o", kind)
    assert found.exit_code == 0
    assert re.match(expected, found.stdout)
    some = call("limits", "ls", "-o", "csv", "--fields", "limit,room")
    assert some.stdout.splitlines() == ["limit,room", "api,1", "db,0"]


def test_show(limited: None) -> None:
    """One limit, with the jobs that run and wait."""
    lines = call("limits", "show", "db").stdout.splitlines()
    assert lines == [
        "limit    db",
        "allows   2 at once",
        "running  2",
        *(f"         {n:036}" for n in (1, 0)),
        "room     the next may start when one that runs has ended",
        "waiting  3 due",
        *(f"         {n:036}" for n in (2, 3, 4)),
        "set      by the code of the worker that started last",
        "code     2 at once",
    ]


def test_show_json(limited: None) -> None:
    """Numbers for numbers, and no value where there is none."""
    assert shown("db") == {
        "limit": "db",
        "in_flight": 2,
        "rate": None,
        "burst": 1,
        "running": 2,
        "room": 0,
        "room_at": None,
        "waiting": 3,
        "whole": True,
        "overridden": False,
        "by": None,
        "since": None,
        "why": None,
        "declared": {"in_flight": 2, "rate": None, "burst": 1},
    }


def test_a_rate_that_is_spent(limited: None) -> None:
    """Says when the next call may start."""
    with support.database() as backend:
        one = Message(id=f"{7:036}", task="t", limits=("api",))
        support.send(backend, one, Message(id=f"{8:036}", task="t", limits=("api",)))
        assert len(step(backend.receive([Claim("default", 9)], "holder", 60))) == 1
        assert step(backend.receive([Claim("default", 9)], "holder", 60)) == []
    found = shown("api")
    assert (found["running"], found["room"], found["waiting"]) == (3, 0, 1)
    assert found["room_at"].endswith("Z")
    assert re.search(r"^room     the next may start (in \ds|now)$", page("api"), re.MULTILINE)


def page(name: str) -> str:
    """What a person is shown of a limit."""
    return call("limits", "show", name).stdout


def test_what_is_cancelled_waits_no_more(limited: None) -> None:
    """Only what is due and not settled counts."""
    call("jobs", "cancel", f"{2:036}")
    assert shown("db")["waiting"] == 2


def test_nothing_is_limited(here: Path) -> None:
    """Is a success, also without a database, and none is made."""
    found = call("limits", "ls")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "there is no database" in found.stderr
    assert not (here / ".ropeway").exists()
    with support.database():
        pass
    found = call("limits", "ls")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "workers declare limits when they start" in found.stderr
    assert call("limits", "ls", "--json").stdout == "[]\n"


def test_names_are_harmless(here: Path) -> None:
    """A limit may have any name, and a reason be any text."""
    name = support.ESCAPES + "\t\n"
    with support.database():
        pass
    assert call("limits", "set", name, "1", "--why", name).exit_code == 0
    line = call("limits", "ls").stdout
    assert (line.count("\t"), line.count("\n")) == (5, 1)
    for text in line, page(name):
        assert "\x1b" not in text and "\x9b" not in text


# --- set, reset -----------------------------------------------------------------------------------


def test_what_is_set_holds_until_it_is_reset(limited: None) -> None:
    """Over deploys that say otherwise; the last of them is what a reset goes back to."""
    done = call("limits", "set", "db", "3", "--why", "the primary is back")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "db allows 3 at once now, whatever code is deployed" in done.stderr
    assert "until ropeway limits reset db" in done.stderr
    with support.database() as backend:
        assert len(step(backend.receive([Claim("default", 9)], "holder", 60))) == 1
    started(Limit(name="db", in_flight=5))
    found = shown("db")
    assert (found["in_flight"], found["overridden"], found["room"]) == (3, True, 0)
    assert found["declared"] == {"in_flight": 5, "rate": None, "burst": 1}
    assert re.fullmatch(r"\S+@\S+", found["by"]) and found["since"].endswith("Z")
    assert re.search(
        r"^set      by \S+@\S+, (now|\ds ago): the primary is back; until ropeway limits reset db$",
        page("db"),
        re.MULTILINE,
    )
    done = call("limits", "reset", "db")
    assert done.stderr == "db allows 5 at once, as the code says again\n"
    assert shown("db")["room"] == 2
    assert "which nobody had changed" in call("limits", "reset", "db").stderr


def test_a_limit_that_no_code_declares(here: Path) -> None:
    """Can be set, with a remark, and is gone when it is reset."""
    started(DB)
    done = call("limits", "set", "dbs", "1")
    assert done.exit_code == 0
    assert "no limit dbs is in force, and no job names it; did you mean db?" in done.stderr
    assert "code     does not declare it" in page("dbs")
    assert call("limits", "reset", "dbs").stderr == "dbs limits nothing: no code declares it\n"
    assert call("limits", "ls", "--fields", "limit").stdout == "db\n"


def test_a_brake(limited: None) -> None:
    """Nothing starts at 0, and everything that waits when that is over."""
    call("limits", "set", "db", "0")
    assert "none may start until it is set or reset" in page("db")
    call("limits", "set", "db", "none")
    assert "any number more may start" in page("db")
    with support.database() as backend:
        assert len(step(backend.receive([Claim("default", 9)], "holder", 60))) == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("5",), (5, None, 1)),
        (("30/m",), (None, 0.5, 1)),
        (("30/m burst 4",), (None, 0.5, 4)),
        (("30/m", "burst", "4"), (None, 0.5, 4)),
        (("5", "30/m"), (5, 0.5, 1)),
        (("5 30/m burst 4",), (5, 0.5, 4)),
        (("none",), (None, None, 1)),
    ],
)
def test_values(limited: None, words: tuple[str, ...], expected: tuple[object, ...]) -> None:
    """What can be set in code can be set here."""
    found = json.loads(call("limits", "set", "db", *words, "--json").stdout)
    assert (found["in_flight"], found["rate"], found["burst"]) == expected


@pytest.mark.parametrize(
    "words", [("fast",), ("5", "6"), ("5", "none"), ("1/0s",), ("",), ("1.5",)]
)
def test_values_that_cannot_be(limited: None, words: tuple[str, ...]) -> None:
    """Are refused with what can be written, and change nothing."""
    found = call("limits", "set", "db", *words)
    assert found.exit_code == 2
    assert "RW-102" in found.stderr and "30/m burst 5" in found.stderr
    assert shown("db")["in_flight"] == 2
    assert call("limits", "set", "db", "--", "-1").exit_code == 2
    assert call("limits", "set", "db").exit_code == 2


def test_no_database_is_no_place_for_a_limit(here: Path) -> None:
    """And none is made."""
    found = call("limits", "set", "db", "1")
    assert found.exit_code == 7
    assert "there is no database" in found.stderr and "--url" in found.stderr
    assert not (here / ".ropeway").exists()


def test_a_worker_obeys(here: Path, eventually: support.Eventually) -> None:
    """What the code declares is in force when a worker has started, and so is what was set."""
    app = support.APP.replace("Ropeway()", 'Ropeway(limits={"db": 1})')
    (here / "tasks.py").write_text(app.replace('queue="slow"', 'limits=["db"]'))
    with support.working(eventually):
        assert shown("db")["declared"]["in_flight"] == 1
        call("limits", "set", "db", "0")
        job = process("run", "sleep", "0").stdout.strip()
        why = json.loads(call("jobs", "show", job, "--json").stdout)["why"]
        assert why["reason"] == "limit"
        call("limits", "reset", "db")
        eventually(lambda: "succeeded" in call("jobs", "show", job).stdout)


# --- in words -------------------------------------------------------------------------------------


def test_what_is_not_known_is_not_told() -> None:
    """Where jobs cannot be searched, and where there are more than were looked at."""
    limit = LimitInfo(name="l", in_flight=1, declared=Limit(name="l", in_flight=1))
    unknown = LimitUse(limit=limit, running=1, room=0)
    assert limitview.drawn([unknown], 0.0).rows == [["l", "1 at once", "1", "0", "-", "-"]]
    some = LimitUse(limit=limit, running=1, room=0, waiting=7, whole=False)
    assert limitview.drawn([some], 0.0).rows[0][4] == "7+"


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (Limit(name="l"), "any number"),
        (Limit(name="l", in_flight=0), "0 at once"),
        (Limit(name="l", in_flight=3, rate=20.0), "3 at once, 20 a second"),
        (Limit(name="l", rate=1 / 600, burst=2), "6 an hour, 2 after a pause"),
        (Limit(name="l", rate=1 / 43_200), "2 a day"),
    ],
)
def test_what_a_limit_allows(limit: Limit, says: str) -> None:
    """In words."""
    assert allows(limit) == says
