"""`ropeway doctor`: what it finds, and what it says to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from ropeway.backends.sqlite import filesystem
from ropeway.backends.sqlite.filesystem import holder_of
from ropeway.backends.sqlite.migrations import known
from ropeway.broker import QueueStats
from ropeway.cli.checks import application, database, programs, storage
from ropeway.cli.commands import doctor
from tests.cli import support
from tests.cli.support import call

LOCAL = "/dev/vda / ext4 rw 0 0\n"


@pytest.fixture(autouse=True)
def on_a_local_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the temporary directory of this machine lies on."""
    mounts = tmp_path / "mounts"
    mounts.write_text(LOCAL)
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    monkeypatch.setattr(storage, "free_space", lambda path: storage.judged_space(2**40))
    monkeypatch.setattr(programs, "inotify", lambda: programs.judged_inotify(True, 128))


def checks(*words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """Return the findings by name."""
    found = call("doctor", "--json", *words)
    assert found.exit_code == code, found.output
    return {check["name"]: check for check in json.loads(found.stdout)}


def test_a_fresh_project(tasks: Path) -> None:
    """All is well, and nothing is made."""
    found = checks()
    assert {name: check["status"] for name, check in found.items()} == dict.fromkeys(
        [
            "python",
            "ropeway",
            "sqlite",
            "url",
            "abilities",
            "folder",
            "space",
            "filesystem",
            "inotify",
            "database",
            "app",
        ],
        "ok",
    )
    assert found["database"]["fact"].startswith("none yet")
    assert found["folder"]["fact"].endswith(f"where {tasks.parent}/.ropeway will be made")
    assert not (tasks.parent / ".ropeway").exists()


def test_lines(tasks: Path) -> None:
    """Status, name, fact and remedy, split by tabs."""
    found = call("doctor")
    assert found.exit_code == 0
    lines = [line.split("\t") for line in found.stdout.splitlines()]
    assert {len(line) for line in lines} == {4}
    assert lines[0][:2] == ["ok", "python"]
    assert lines[0][3] == "-"


def test_on_a_terminal(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy has a line of its own."""
    monkeypatch.setattr(doctor, "on_terminal", lambda: True)
    tasks.unlink()
    found = call("doctor", "--no-color")
    assert "ok   python     CPython" in found.stdout
    assert "\n                → name one: -A module:app" in found.stdout


def test_a_database_with_jobs(jobs: dict[str, str]) -> None:
    """Its mode, its schema and what waits."""
    found = checks()
    assert found["database"]["fact"].startswith(f"journal mode wal, schema {known()}, ")
    assert found["queues"]["fact"] == "1 ready, 2 delayed, 1 leased in 4 queues"
    assert found["app"]["status"] == "warn"


@pytest.mark.parametrize(
    ("content", "status", "fact"),
    [
        (b"garbage" * 100, "fail", "is not an SQLite database"),
        (b"", "warn", "is empty"),
        (b"SQLite format 3\0" + bytes(100), "fail", "is not in WAL mode"),
        (b"SQLite format 3\0\x10\0\2\2" + bytes(4096), "fail", "the database cannot be used"),
    ],
)
def test_a_file_that_is_no_database(here: Path, content: bytes, status: str, fact: str) -> None:
    """It is left as it is."""
    path = here / ".ropeway" / "ropeway.db"
    path.parent.mkdir()
    path.write_bytes(content)
    found = checks(code=1 if status == "fail" else 0)
    assert found["database"]["status"] == status
    assert fact in found["database"]["fact"]
    assert found["database"]["remedy"]
    assert "queues" not in found
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("needs", "code", "fact"),
    [(99, 1, "schema 99, which needs a newer ropeway"), (2, 0, "journal mode wal, schema 99, ")],
)
def test_a_newer_schema(here: Path, needs: int, code: int, fact: str) -> None:
    """Is for a newer ropeway, unless the file says that this one will do."""
    with support.database():
        pass
    connection = apsw.Connection(str(here / ".ropeway" / "ropeway.db"))
    connection.execute("update meta set value = ? where name = 'needs'", (str(needs),))
    connection.execute("pragma user_version = 99")
    connection.close()
    assert fact in checks(code=code)["database"]["fact"]


def test_a_folder_in_place_of_the_file(here: Path) -> None:
    """Is said, not raised."""
    (here / ".ropeway" / "ropeway.db").mkdir(parents=True)
    assert checks(code=1)["database"]["status"] == "fail"


@pytest.mark.parametrize(
    ("url", "name", "fact"),
    [
        ("memory://", "url", "needs a backend with the capability 'shared'"),
        ("mongodb://host", "url", "no backend speaks 'mongodb'"),
        ("sqlite://", "url", "names no file"),
    ],
)
def test_other_urls(tasks: Path, url: str, name: str, fact: str) -> None:
    """The other checks are made all the same."""
    found = checks("-u", url, code=1)
    assert found[name]["status"] == "fail"
    assert fact in found[name]["fact"]
    assert found["app"]["status"] == "ok"


def test_a_wrong_setting(tasks: Path) -> None:
    """Is a finding like any other."""
    (tasks.parent / "pyproject.toml").write_text("[tool.ropeway]\nlease = 0\n")
    assert "lease=0.0 is too short" in checks(code=1)["url"]["fact"]
    (tasks.parent / "pyproject.toml").write_text("[tool")
    assert "cannot be read" in checks(code=1)["url"]["fact"]


# --- the app --------------------------------------------------------------------------------------


def test_the_app_is_not_imported(tasks: Path) -> None:
    """Unless it was named."""
    tasks.write_text("from ropeway import Ropeway\napp = Ropeway()\nraise SystemExit('imported')")
    assert checks()["app"]["fact"] == "tasks.py (not imported; -A tasks.py tries it)"
    found = checks("-A", "tasks.py", code=1)["app"]
    assert found["fact"] == "tasks.py cannot be imported: imported"


def test_a_named_app(tasks: Path) -> None:
    """Its tasks are counted; what it prints does not matter."""
    assert checks("-A", "tasks")["app"]["fact"] == "tasks with 5 tasks"


def test_an_app_without_tasks(here: Path) -> None:
    """Can do nothing."""
    (here / "empty.py").write_text("from ropeway import Ropeway\napp = Ropeway()\n")
    assert checks("-A", "empty")["app"]["status"] == "warn"


def test_an_app_that_sends_elsewhere(here: Path) -> None:
    """Else one would look for its jobs in vain."""
    (here / "mine.py").write_text(
        "from ropeway import Ropeway\napp = Ropeway('sqlite:///mine.db')\n@app.task\ndef t(): ...\n"
    )
    found = checks("-A", "mine")["app"]
    assert found["status"] == "warn"
    assert found["remedy"] == "pass -u sqlite:///mine.db to look where it sends"


@pytest.mark.parametrize("target", ["nowhere", "nowhere.py"])
def test_a_named_app_that_is_not_there(here: Path, target: str) -> None:
    """Is a failure, for it was asked for."""
    found = checks("-A", target, code=1)["app"]
    assert "there is no " in found["fact"]


def test_an_app_that_takes_for_ever(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is given up."""
    monkeypatch.setattr(application, "_PATIENCE", 0.5)
    (here / "slow.py").write_text("import threading\nthreading.Event().wait()")
    found = checks("-A", "slow", code=1)["app"]
    assert "took longer than" in found["fact"]


# --- judgements -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("ext4", "ok"),
        ("xfs", "ok"),
        ("overlay", "ok"),
        ("nfs", "fail"),
        ("nfs4", "fail"),
        ("cifs", "fail"),
        ("smb3", "fail"),
        ("fuse.sshfs", "fail"),
        ("9p", "fail"),
        ("tmpfs", "warn"),
    ],
)
def test_file_systems(kind: str, status: str) -> None:
    """The mount that holds the folder counts, not one whose name begins like it."""
    mounts = f"{LOCAL}x /srv/my\\040jobs {kind} rw 0 0\ny /srv/my\\040jobs2 cifs rw 0 0\nbroken\n"
    found = storage.judged_file_system(holder_of(Path("/srv/my jobs/a/b"), mounts))
    assert (found.status, found.fact) == (status, f"{kind}, mounted on /srv/my jobs")
    assert bool(found.remedy) == (status != "ok")


def test_the_later_of_two_mounts_is_seen() -> None:
    """It hides the other."""
    mounts = LOCAL + "a /srv ext4 r\nb /srv nfs r\n"
    assert storage.judged_file_system(holder_of(Path("/srv/x"), mounts)).status == "fail"


def test_no_mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other systems have no such file."""
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "none")
    assert storage.file_system(tmp_path / "x.db").status == "warn"


@pytest.mark.parametrize(
    ("free", "status"), [(2**40, "ok"), (2**28, "warn"), (2**20, "fail"), (0, "fail")]
)
def test_space(free: int, status: str) -> None:
    """A full disk takes no work."""
    assert storage.judged_space(free).status == status


def test_a_folder_that_cannot_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a failure; asked of the system, since root may write everywhere."""
    path = here / "x" / "y.db"
    assert storage.writable(path).status == "ok"
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != here)
    assert storage.writable(path).status == "fail"


def test_a_file_that_cannot_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a failure, also in a folder that can."""
    path = here / "y.db"
    path.touch()
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != path)
    assert storage.writable(path).fact == f"cannot write {path}"


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("3.40.1", "fail"),
        ("3.51.2", "fail"),
        ("3.51.3", "ok"),
        ("3.52.0", "ok"),
        ("4.0.0", "ok"),
        ("3.9.9", "fail"),
    ],
)
def test_sqlite_versions(version: str, status: str) -> None:
    """Compared as numbers."""
    assert programs.judged_sqlite(version).status == status


@pytest.mark.parametrize(
    ("available", "limit", "status"),
    [(True, 128, "ok"), (True, None, "ok"), (True, 8, "warn"), (False, 128, "warn")],
)
def test_inotify(available: bool, limit: int | None, status: str) -> None:
    """Works without, only later."""
    assert programs.judged_inotify(available, limit).status == status


@pytest.mark.parametrize(
    ("stats", "status"),
    [
        (QueueStats(queue="a", ready=3, oldest_due=939.0), "warn"),
        (QueueStats(queue="a", ready=3, oldest_due=950.0), "ok"),
        (QueueStats(queue="a", ready=3, leased=1, oldest_due=0.0), "ok"),
        (QueueStats(queue="a", delayed=1, oldest_due=2000.0), "ok"),
    ],
)
def test_queues(stats: QueueStats, status: str) -> None:
    """Work that is long due and that nobody has in hand is worth a word."""
    assert database.judged_queues([stats], 1000.0).status == status


def test_no_queues() -> None:
    """Is fine."""
    assert database.judged_queues([], 1000.0).status == "ok"
