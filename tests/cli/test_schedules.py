"""Schedules in a shell: made, seen, changed, explained, and taken from a crontab."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import Eventually, call, working
from tests.cli.test_completion import completed

APP = """
from ropeway import Ropeway

app = Ropeway()


@app.schedule(every=1, name="beat")
@app.task
def beat() -> None: ...


@app.task
def shell(command: str, times: int = 1) -> str:
    return command * times
"""


@pytest.fixture
def app(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write an app with a schedule, and nothing else; this process forgets that of another test."""
    path = here / "tasks.py"
    path.write_text(APP)
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("tasks", None)
    yield path
    sys.modules.pop("tasks", None)


def told(*words: str, code: int = 0) -> Any:
    """Run a command, and return what it prints as JSON."""
    found = call(*words, "-o", "json")
    assert found.exit_code == code, found.output
    return json.loads(found.stdout)


def add(name: str, *more: str) -> None:
    """Make a schedule."""
    assert call("schedules", "add", name, "shell", "hi", "times=2", *more).exit_code == 0


def test_from_the_first_to_the_last(app: Path) -> None:
    """Every verb, on a database that the first of them makes."""
    add("nightly", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--queue", "nights")
    again = call("schedules", "add", "nightly", "shell", "x", "--every", "1h")
    assert (again.exit_code, "already" in again.stderr) == (9, True)
    (listed,) = told("schedules", "ls")
    assert (listed["schedule"], listed["state"], listed["queue"]) == ("nightly", "active", "nights")
    assert listed["when"] == "30 2 * * *"
    times = told("schedules", "next", "nightly", "-n", "400")
    assert len(times) == 400
    assert any(each["note"] and "does not exist" in each["note"] for each in times)
    assert told("schedules", "pause", "nightly", "--why", "it moves")["why"] == "it moves"
    changed = told("schedules", "edit", "nightly", "--every", "1h", "--overlap", "skip")
    assert (changed["when"], changed["overlap"], changed["state"]) == (
        "every 1h",
        "skip",
        "paused",
    )
    job = told("schedules", "run", "nightly")["id"]
    assert call("schedules", "resume", "nightly").exit_code == 0
    (kept,) = told("schedules", "history", "nightly")
    assert (kept["decision"], kept["job"], kept["state"]) == ("by_hand", job, "queued")
    page = call("schedules", "show", "nightly").stdout
    assert '{"command":"hi","times":2}' in page
    assert job in page
    assert call("schedules", "clear").exit_code == 3  # nobody can be asked
    assert told("schedules", "clear", "nightly", "--yes") == {"removed": 0}
    assert call("schedules", "rm", "nightly", "--yes").exit_code == 0
    assert call("schedules", "show", "nightly").exit_code == 6
    assert told("schedules", "ls") == []
    actions = [each["action"] for each in told("audit")]
    assert actions[::-1] == [f"schedules.{each}" for each in (
        "add", "add", "pause", "edit", "run_now", "resume", "clear", "remove"
    )]  # fmt: skip


def test_edit_takes_another_call(app: Path) -> None:
    """With the task; without anything to change it is a wrong usage."""
    add("nightly", "--cron", "@daily")
    assert call("schedules", "edit", "nightly").exit_code == 2
    assert call("schedules", "edit", "nightly", "--queue", "x").exit_code == 2
    assert call("schedules", "edit", "nightly", "beat", "--queue", "x").exit_code == 0
    (listed,) = told("schedules", "ls", "night")
    assert (listed["task"], listed["queue"], listed["when"]) == ("tasks.beat", "x", "@daily")
    assert told("schedules", "ls", "other") == []


def test_what_was_meant_by_a_name(app: Path) -> None:
    """A name without its module, or with a slip, is answered with those that are there."""
    for name in ("tasks.tick", "tasks.tock"):
        add(name, "--every", "2s", "--tz", "Europe/Berlin")
    assert [(each["when"], each["timezone"]) for each in told("schedules", "ls")] == [
        ("every 2s", "Europe/Berlin")
    ] * 2
    for name, hint in {
        "tick": "did you mean tasks.tick?",
        "tasks.tik": "did you mean tasks.tick or tasks.tock?",
        "nightly": "see: ropeway schedules ls",
    }.items():
        found = call("schedules", "pause", name)
        assert found.exit_code == 6
        assert f"RW-321  there is no schedule {name!r}\n        → {hint}\n" in found.stderr


def test_backfill(app: Path) -> None:
    """Tried out, bounded, and then done once."""
    add("nightly", "--cron", "0 2 * * *")
    words = ("schedules", "backfill", "nightly", "--since", "2026-01-01T00:00Z", "--until")
    assert len(told(*words, "2026-01-04T00:00Z", "--dry-run")["instants"]) == 3
    assert call(*words, "2026-12-01T00:00Z").exit_code == 9
    assert len(told(*words, "2026-01-04T00:00Z")["jobs"]) == 3
    assert told(*words, "2026-01-04T00:00Z") == {"instants": [], "jobs": [], "there": 3}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("explain", "0 0 1--100000000 * *"), 2, "day of the month"),
        (("explain", "0 2 * * *", "--timezone", "Nowhere"), 2, "timezone='Nowhere'"),
        (("add", "x", "shell", "y"), 2, "one of them"),
        (("add", "x", "nobody", "--every", "1h"), 6, "no task 'nobody'"),
        (("add", "x", "shell", "--every", "1h"), 2, "command"),
        (("add", "x", "shell", "y", "--at", "2030-01-01"), 2, "no time zone"),
        (("add", "x", "shell", "y", "--at", "2020-01-01T00:00Z"), 2, "would never fire"),
    ],
)
def test_wrong_uses(app: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Are told, by words and by the exit code."""
    found = call("schedules", *words)
    assert (found.exit_code, said in found.stderr) == (code, True), found.output


def test_an_expression_is_explained(here: Path) -> None:
    """In English, with its next times and what may not be meant so; no database is needed."""
    found = told("schedules", "explain", "*/7 2 1 * MON", "-n", "3")
    assert "minute" in found["means"]
    assert len(found["next"]) == 3
    assert any("either will do" in each for each in found["notes"])
    assert any("*/7 begins anew" in each for each in found["notes"])
    assert not list(here.glob(".ropeway"))


def test_lint(app: Path) -> None:
    """Exit code 1 where a person should look."""
    assert told("schedules", "lint") == []
    add("fine", "--cron", "0 12 * * *")
    assert told("schedules", "lint") == []
    add("odd", "--every", "5s")
    add("gap", "--cron", "30 2 * * *", "--timezone", "America/New_York")
    found = told("schedules", "lint", code=1)
    assert {each["schedule"] for each in found} == {"gap", "odd"}
    assert any("does not exist" in each["finding"] for each in found)


def test_a_crontab_is_imported(app: Path, here: Path) -> None:
    """Line by line: what cannot be a schedule says why, and twice changes nothing."""
    (here / "crontab").write_text(
        "# nights\nMAILTO=root\n0 2 * * *  root  cd /srv && ./backup.sh --full\n"
        "CRON_TZ=Europe/Berlin\n*/5 * * * * www echo 100\\%\n*/5 * * * * www echo 100\\%\n"
        "@reboot root /bin/start\n0 0 30 2 * root never\n5 4 * * sun root mail<<%x\n* * *\n"
    )
    zone = ("--system", "--timezone", "Asia/Tokyo")
    words = ("schedules", "import-crontab", "crontab", "--task", "shell", *zone)
    planned = told(*words, "--dry-run", code=1)
    assert [each["outcome"] for each in planned[:3]] == ["would be added"] * 3
    assert [each["line"] for each in planned[3:]] == [7, 8, 9, 10]
    assert told("schedules", "ls") == []
    assert "MAILTO" in call(*words).stderr
    found = {each["schedule"]: each for each in told("schedules", "ls")}
    assert found.keys() == {"cron.cd-srv-backup-sh-full", "cron.echo-100", "cron.echo-100-2"}
    assert found["cron.cd-srv-backup-sh-full"]["timezone"] == "Asia/Tokyo"
    assert found["cron.echo-100"]["timezone"] == "Europe/Berlin"
    assert '"command":"echo 100%"' in call("schedules", "show", "cron.echo-100").stdout
    assert {each["outcome"] for each in told(*words, code=1)[:3]} == {"is there"}


def test_a_worker_fires_what_its_code_says(app: Path, eventually: Eventually) -> None:
    """And what is added while it runs, at once; a schedule of code is not removed by hand."""
    with working(eventually):
        eventually(lambda: told("schedules", "history", "beat"))
        add("soon", "--every", "1s", "--max-runs", "2")
        eventually(lambda: told("schedules", "ls", "soon")[0]["state"] == "finished")
        assert call("schedules", "rm", "beat", "--yes").exit_code == 9
        eventually(
            lambda: (
                {each["state"] for each in told("schedules", "history", "soon")} == {"succeeded"}
            )
        )
        late = [each["late"] for each in told("schedules", "history", "beat")]
        assert all(0 <= each < 1 for each in late)
    app.write_text(APP.replace('@app.schedule(every=1, name="beat")\n', ""))
    with working(eventually, log="later.log"):
        assert {each["schedule"] for each in told("schedules", "ls")} == {"soon"}


def test_names_are_completed(app: Path) -> None:
    """From the database."""
    add("nightly", "--cron", "@daily")
    add("nine", "--cron", "0 9 * * *")
    assert completed("schedules", "show", "ni") == ["nightly", "nine"]
