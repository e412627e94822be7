"""`ropeway workers`: who is at work, and being told what to do."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

from ropeway import control
from ropeway.cli.workerview import page
from ropeway.control import WorkerRecord
from ropeway.operate.worker import FIELDS, remarks
from ropeway.stepping import step
from tests.cli import support
from tests.cli.support import Eventually, call, working

ESCAPES = "\x1b[31m"


def record(holder: str, **more: object) -> WorkerRecord:
    """Return a worker's record."""
    values = {
        "host": "web1",
        "pid": 7,
        "version": "0.1.0",
        "python": "3.11.7",
        "app": "tasks.py",
        "code": "aaaaaaaaaaaa",
        "started": 1_000.0,
        "heard": 2_000.0,
        "state": "consuming",
        "tasks": {"tasks.add": "d1"},
        "slots": {"loop": 100, "threads": 8},
        "busy": {"loop": 2, "threads": 1},
        "children": (8, 9),
    } | more
    return WorkerRecord(holder=holder, **values)  # type: ignore[arg-type]  # as the defaults are


def announce(*records: WorkerRecord) -> None:
    """Have workers be there, as far as the database tells."""
    with support.database() as backend:
        for each in records:
            step(control.announce(backend, each))


def test_ls(here: Path) -> None:
    """A line for each worker, whatever it is called."""
    announce(record("web1-7-abc"), record(f"web1-8-{ESCAPES}", state="quiet", why="it was told to"))
    lines = call("workers", "ls").stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    assert rows[0][:7] == ["web1-7-abc", "consuming", "3/108", "2", "*", "aaaaaaaaaaaa", "0.1.0"]
    assert rows[1][:2] == ["web1-8-\\x1b[31m", "quiet"]
    found = json.loads(call("workers", "ls", "--json").stdout)
    assert [set(each) for each in found] == [set(FIELDS)] * 2
    assert [each["why"] for each in found] == [None, "it was told to"]
    assert found[0]["busy"] == {"loop": 2, "threads": 1}
    picked = call("workers", "ls", "-o", "jsonl", "--fields", "pid,state").stdout.splitlines()
    assert picked[0] == '{"pid": 7, "state": "consuming"}'


def test_none(here: Path) -> None:
    """Is a success, with and without a database."""
    assert "there is no database" in call("workers", "ls").stderr
    announce()
    found = call("workers", "ls")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "no worker runs\n")
    assert call("workers", "ls", "--json").stdout == "[]\n"


def test_show(here: Path) -> None:
    """By the start of its name; what other workers of the app know and this one does not is said."""
    announce(
        record("web1-7-abc"),
        record("web2-7-abc", code="b" * 12, tasks={"tasks.add": "d1", "tasks.new": "d2"}),
        record("web3-7-abc", app="other.py", tasks={"other.add": "d1"}),
    )
    text = call("workers", "show", "web1").stdout
    assert re.search(r"^tasks +1: tasks.add$", text, re.MULTILINE)
    assert re.search(r"^lacks +tasks.new: other workers of tasks.py have them$", text, re.MULTILINE)
    assert re.search(r"^busy +2 of 100 loop, 1 of 8 threads$", text, re.MULTILINE)
    assert "lacks" not in call("workers", "show", "web2").stdout
    assert json.loads(call("workers", "show", "web2", "--json").stdout)["code"] == "b" * 12


def test_what_to_notice() -> None:
    """Reasons, silence and mixed code are said; a healthy fleet is worth no word."""
    well = [record("a"), record("b")]
    assert remarks(well, 2_005.0) == []
    mixed = [
        *well,
        record("c", code="c" * 12, state="waiting", why="no child"),
        record("d", app="x"),
    ]
    said = remarks(mixed, 2_005.0)
    assert said == [
        "c: no child",
        "workers of tasks.py run different code: aaaaaaaaaaaa (2), cccccccccccc (1)",
    ]
    assert "a: not heard of for 20 s" in remarks(well, 2_020.0)[0]
    assert "quiet: it was told to" in page(record("a", state="quiet", why="it was told to"), [], 0)


def test_a_worker_is_told(tasks: Path, eventually: Eventually) -> None:
    """Quiet, resume, stack and stop reach it, and the exit codes say what came of it."""
    with working(eventually) as worker:
        eventually(lambda: "consuming" in call("workers", "ls").stdout)
        (name,) = [line.split("\t")[0] for line in call("workers", "ls").stdout.splitlines()]
        found = call("workers", "quiet", name[:-4])
        assert (found.exit_code, found.stdout, found.stderr) == (0, "", f"{name} quiet\n")
        assert "\tquiet\t" in call("workers", "ls").stdout
        assert json.loads(call("workers", "resume", "--all", "--json").stdout) == [name]
        text = call("workers", "stack", name).stdout
        assert f"== supervisor {worker.process.pid}\n" in text
        worker.process.send_signal(signal.SIGSTOP)
        late = call("workers", "quiet", name, "--timeout", "100ms")
        assert (late.exit_code, "RW-312" in late.stderr) == (8, True)
        worker.process.send_signal(signal.SIGCONT)
        assert call("workers", "stop", name).exit_code == 0
        assert worker.process.wait(10) == 0
    absent = call("workers", "stop", name, "--json")
    assert (absent.exit_code, json.loads(absent.stderr)["error"]["code"]) == (6, "RW-311")


def test_wrong_usage(here: Path) -> None:
    """Nobody is told anything when it is not clear who is meant."""
    announce(record("web1-7-abc"), record("web1-8-abc"))
    assert call("workers", "quiet").exit_code == 2
    assert call("workers", "quiet", "web1-7", "--all").exit_code == 2
    found = call("workers", "stop", "web1-7", "web1")
    assert (found.exit_code, "several workers' names begin" in found.stderr) == (6, True)
    with support.database() as backend:
        assert step(backend.scan("command/")) == []
