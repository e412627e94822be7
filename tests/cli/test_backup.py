"""`ropeway backup` and `restore`: with workers, questions and what is not SQLite."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli import support
from tests.cli.support import call, process


def test_while_a_worker_runs(tasks: Path, eventually: support.Eventually) -> None:
    """A copy can be made; it cannot be put back before the worker has ended."""
    with support.working(eventually):
        first = process("run", "add", "1").stdout.strip()
        assert call("jobs", "result", first, "--wait").stdout == "2\n"
        made = process("backup", "copy.db")
        assert (made.returncode, made.stdout) == (0, "copy.db\n")
        second = process("run", "add", "2", "--wait")
        assert second.stdout == "3\n"
        found = process("restore", "copy.db", "--yes")
        assert found.returncode == 9
        assert "has the database open" in found.stderr or "have the database open" in found.stderr
    done = json.loads(process("restore", "copy.db", "--yes", "--json").stdout)
    assert done["jobs"] == 1
    assert Path(done["replaced"]).exists()
    assert call("jobs", "result", first).stdout == "2\n"
    assert len(call("jobs", "ls").stdout.splitlines()) == 1


def test_restore_asks(jobs: dict[str, str]) -> None:
    """Where there is a database, and nobody to ask, it does nothing."""
    assert json.loads(call("backup", "copy.db", "--json").stdout)["jobs"] == len(jobs)
    assert call("restore", "copy.db").exit_code == 3
    assert call("restore", "copy.db", "-u", "sqlite:///new/jobs.db").exit_code == 0
    assert len(call("jobs", "ls", "-u", "sqlite:///new/jobs.db").stdout.splitlines()) == len(jobs)


def test_nothing_to_copy(here: Path) -> None:
    """No database is made to be copied."""
    found = call("backup", "copy.db")
    assert found.exit_code == 7
    assert list(here.iterdir()) == [here / "pyproject.toml"]


def test_another_backend(here: Path) -> None:
    """Has tools of its own."""
    found = call("backup", "copy.db", "-u", "memory://")
    assert found.exit_code == 1
    assert "RW-210" in found.stderr
