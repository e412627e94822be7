"""`ropeway run`: sends one call, and waits for it if asked to. Each run is a process."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ropeway.operate.source import Source
from ropeway.results import Job
from ropeway.stepping import step
from tests.cli.support import Eventually, call, database, process, working


def shown(job_id: str) -> dict[str, Any]:
    """Return what is kept of a job."""
    found: dict[str, Any] = json.loads(call("jobs", "show", job_id.strip(), "--json").stdout)
    return found


# --- sending --------------------------------------------------------------------------------------


def test_prints_the_id(tasks: Path) -> None:
    """On standard output alone, whatever the app prints when it is imported."""
    done = process("run", "add", "-2", "y=-0.5")
    assert done.returncode == 2, "a float is no int"
    assert "Expected `int`, got `float`" in done.stderr
    done = process("run", "tasks.add", "-2", "y=3")
    assert done.returncode == 0
    assert done.stderr == "the app was imported\n"
    found = shown(done.stdout)
    assert found["id"] == done.stdout.strip()
    assert found["task"] == "tasks.add"
    assert found["arguments"] == {"x": -2, "y": 3}
    assert found["queue"] == "default"


def test_prints_json(tasks: Path) -> None:
    """An object with the id."""
    done = process("run", "add", "1", "--json")
    assert shown(json.loads(done.stdout)["id"])["arguments"] == {"x": 1}


def test_arguments(tasks: Path) -> None:
    """Text as it is, the rest as JSON, more as an object; what follows -- is never an option."""
    done = process("run", "echo", "--json-args", '{"a": {"b": [1]}}', "--", "--wait", "-1", "2.5")
    assert shown(done.stdout)["arguments"] == {
        "text": "--wait",
        "more": [-1.0, 2.5],
        "named": {"a": {"b": [1]}},
    }


def test_how_it_is_sent(tasks: Path) -> None:
    """Queue, priority and delay."""
    done = process("run", "add", "1", "--queue", "mail", "--priority", "9", "--delay", "1h")
    found = shown(done.stdout)
    assert (found["queue"], found["priority"], found["view"]) == ("mail", 9, "scheduled")
    due = datetime.fromisoformat(found["due"]) - datetime.fromisoformat(found["enqueued"])
    assert due == timedelta(hours=1)


def test_at_a_date(tasks: Path) -> None:
    """With its time zone."""
    done = process("run", "add", "1", "--at", "2090-01-31T09:00+01:00")
    due = datetime.fromisoformat(shown(done.stdout)["due"])
    assert due == datetime(2090, 1, 31, 8, tzinfo=UTC)


def test_the_queue_of_the_task(tasks: Path) -> None:
    """Is where it goes by default."""
    assert shown(process("run", "sleep", "1").stdout)["queue"] == "slow"


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["ad"], 6, ["RW-101  tasks.py has no task 'ad'", "did you mean tasks.add?"]),
        (["qqqqqqq"], 6, ["RW-101", "it has: tasks.add, tasks.boom"]),
        (["add", "x"], 2, ["RW-102  tasks.add(x: int, y: int = 1) -> int: ", "`$.x`"]),
        (["add"], 2, ["RW-102  tasks.add(x: int, y: int = 1) -> int: ", "nothing was sent"]),
        (["add", "1", "2", "3"], 2, ["RW-102", "too many positional arguments"]),
        (["add", "1", "z=3"], 2, ["RW-102", "there is no parameter 'z'"]),
        (["add", "1", "--json-args", "[]"], 2, ["RW-102", "--json-args is not a JSON object"]),
        (["add", "1", "--delay", "soon"], 2, ["'soon' is not a duration"]),
        (["add", "1", "--at", "tomorrow"], 2, ["'tomorrow' is not a date"]),
        (["add", "1", "--at", "2090-01-01"], 2, ["has no time zone; write 2030"]),
        (["add", "1", "--at", "2090-01-01T00:00Z", "--delay", "1"], 2, ["exclude each other"]),
        (["add", "1", "--priority", "10"], 2, ["--priority", "0<=x<=9"]),
        (["add", "1", "--queue", ""], 2, ["RW-102  queue='' is not a name"]),
        (["add", "1", "--timeout", "1s"], 2, ["--timeout needs --wait"]),
        (["add", "1", "--wiat"], 2, ["No such option '--wiat'"]),
        (["echo", "x" * 2_000_000], 1, ["RW-104"]),
        ([], 2, ["Missing argument 'TASK'"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_refusals(tasks: Path, words: list[str], code: int, said: list[str]) -> None:
    """Say what is wrong; nothing is sent and nothing is printed."""
    if any(len(word) > 100_000 for word in words):
        words = ["echo", "--json-args", json.dumps({"text": "x" * 100_000})]
        (tasks.parent / "pyproject.toml").write_text(
            "[tool.ropeway]\nmax_blob = 0\nmax_message = 50000\n"
        )
    done = process("run", *words)
    assert done.returncode == code, done.stderr
    assert not done.stdout
    for each in said:
        assert each in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tasks.parent / ".ropeway").exists()


def test_a_name_that_fits_several_tasks(tasks: Path) -> None:
    """Is refused with the candidates."""
    with tasks.open("a") as file:
        file.write("\n@app.task(name='shop.add')\ndef another() -> None: ...\n")
    done = process("run", "add", "1")
    assert done.returncode == 2
    assert "may be any of: shop.add, tasks.add" in done.stderr
    assert process("run", "shop.add").returncode == 0


def test_errors_as_json(tasks: Path) -> None:
    """For programs."""
    done = process("run", "ad", "--json")
    assert done.returncode == 6
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "RW-101"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no app was named, and none of tasks.py"),
        (["-A", "nowhere"], "there is no module 'nowhere'"),
        (["-A", "nowhere.py"], "there is no file nowhere.py"),
        (["-A", "json"], "json must hold one Ropeway object"),
        (["-A", "json:dumps"], "json:dumps is not a Ropeway object"),
    ],
)
def test_no_app(here: Path, words: list[str], said: str) -> None:
    """Exit code 2."""
    done = process("run", "add", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("RW-002")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name' (wrong.py:1)"),
        ("\n1 / 0", "ZeroDivisionError: division by zero (wrong.py:2)"),
        ("x = (", "SyntaxError"),
    ],
)
def test_an_app_that_cannot_be_imported(here: Path, text: str, said: str) -> None:
    """The place is named; the traceback is there on request."""
    (here / "wrong.py").write_text(text)
    done = process("run", "add", "-A", "wrong")
    assert done.returncode == 2
    assert done.stderr.startswith("RW-002  wrong cannot be imported: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in process("run", "add", "-A", "wrong", "-v").stderr


def test_a_memory_app(here: Path) -> None:
    """Nobody else would ever see what is sent there."""
    (here / "tasks.py").write_text(
        "from ropeway import Ropeway\napp = Ropeway('memory://')\n@app.task\ndef t(): ...\n"
    )
    done = process("run", "t")
    assert done.returncode == 1
    assert done.stderr.startswith("RW-210")


def test_the_url_goes_before_that_of_the_app(here: Path) -> None:
    """So that the same code can be tried elsewhere."""
    (here / "tasks.py").write_text(
        "from ropeway import Ropeway\napp = Ropeway('sqlite:///a.db')\n@app.task\ndef t(): ...\n"
    )
    assert process("-u", "sqlite:///b.db", "run", "t").returncode == 0
    assert (here / "b.db").exists()
    assert not (here / "a.db").exists()
    assert process("run", "t").returncode == 0
    assert (here / "a.db").exists()


def test_an_unusable_database(tasks: Path) -> None:
    """Exit code 7."""
    path = tasks.parent / ".ropeway" / "ropeway.db"
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    done = process("run", "add", "1")
    assert done.returncode == 7
    assert "RW-201" in done.stderr


# --- waiting --------------------------------------------------------------------------------------


def test_wait(tasks: Path, eventually: Eventually) -> None:
    """From the command line to a worker and back."""
    with working(eventually):
        done = process("run", "add", "2", "3", "--wait", "--timeout", "30s")
        assert (done.returncode, done.stdout) == (0, "5\n")
        assert "job 0" in done.stderr
        assert "worker" not in done.stderr
        done = process("run", "echo", "-q", "--wait", "--", "text")
        assert json.loads(done.stdout) == {"text": "text", "more": []}
        assert done.stderr == "the app was imported\n"

        done = process("run", "boom", "oh no", "--wait")
        assert (done.returncode, done.stdout) == (5, "")
        assert "RW-304" in done.stderr
        assert "ValueError: oh no" in done.stderr
        assert "Traceback" not in done.stderr
        done = process("run", "boom", "oh no", "--wait", "-v")
        assert "in boom" in done.stderr, "the traceback of the task"

        job_id = process("run", "sleep", "1.5").stdout.strip()
        found = call("jobs", "result", job_id, "--wait", "--timeout", "30s")
        assert (found.exit_code, found.stdout) == (0, "null\n")


def test_wait_without_a_worker(tasks: Path) -> None:
    """After two seconds it is said why, and how to start one; then time is up, and the job stays."""
    done = process("run", "add", "1", "--wait", "--timeout", "2.2s")
    assert (done.returncode, done.stdout) == (8, "")
    assert "not started in 2.0s: no worker on record listens to queue default" in done.stderr
    assert "ropeway worker tasks.py" in done.stderr
    assert "is queued after 2.2s" in done.stderr
    job_id = done.stderr.split("jobs result ")[1].split()[0]
    assert shown(job_id)["state"] == "queued"


def test_wait_for_a_paused_queue(tasks: Path) -> None:
    """The reason is told, and what to type."""
    process("run", "add", "1")
    assert call("queues", "pause", "default", "--why", "it is late").exit_code == 0
    done = process("run", "add", "1", "--wait", "--timeout", "2.2s")
    assert "not started in 2.0s: queue default is paused by " in done.stderr
    assert ": it is late; see: ropeway queues resume default" in done.stderr


def test_wait_for_what_is_scheduled(tasks: Path) -> None:
    """No worker could have taken it yet, so none is missed."""
    done = process("run", "add", "1", "--delay", "1h", "--wait", "--timeout", "100ms")
    assert done.returncode == 8
    assert "not started" not in done.stderr


def test_a_result_by_its_handle(tasks: Path, eventually: Eventually) -> None:
    """What the command line sent is a job like any other."""
    with working(eventually), database() as backend:
        job_id = process("run", "add", "20", "22").stdout.strip()

        assert step(Job(Source(backend), job_id).aresult(20)) == 42


# --- more ways to say it --------------------------------------------------------------------------


def test_arguments_by_name(tasks: Path) -> None:
    """As options, also where a value without a name could be meant."""
    done = process("run", "add", "--arg", "y=3", "1", "--key", "cat")
    assert shown(done.stdout)["arguments"] == {"x": 1, "y": 3}
    done = process("run", "echo", "--arg", "text=a=b")
    assert shown(done.stdout)["arguments"] == {"text": "a=b"}
    done = process("run", "add", "--arg", "3")
    assert done.returncode == 2
    assert "'3' has no name" in done.stderr


def test_unique(tasks: Path) -> None:
    """A second one is the first."""
    first = process("run", "add", "1", "--unique")
    assert process("run", "add", "1", "--unique").stdout == first.stdout
    assert process("run", "add", "2", "--unique").stdout != first.stdout


def test_here_and_now(tasks: Path, here: Path) -> None:
    """No worker and no database; what it prints is not its result."""
    tasks.write_text(
        tasks.read_text() + "\n@app.task\ndef talks(x: int) -> int:\n"
        "    from ropeway import current\n    print('hello')\n    return x + current.attempt\n"
    )
    done = process("run", "talks", "4", "--local")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert "hello" in done.stderr
    done = process("run", "sleep", "0.01", "--local", "--delay", "1h")
    assert (done.returncode, done.stdout) == (0, "null\n")
    assert not (here / ".ropeway").exists()


def test_here_a_failure_is_shown_whole(tasks: Path) -> None:
    """Where it happened is what one wants to know."""
    done = process("run", "boom", "bad", "--local")
    assert done.returncode == 5
    assert "raise ValueError(text)" in done.stderr
    assert "RW-304" in done.stderr
    error = process("run", "boom", "bad", "--local", "--json", "-q").stderr.splitlines()[-1]
    assert json.loads(error)["error"]["code"] == "RW-304"


def test_here_there_is_nothing_to_wait_for(tasks: Path) -> None:
    """It does that by itself."""
    assert process("run", "add", "1", "--local", "--follow").returncode == 2
    assert process("run", "add", "1", "--local", "--timeout", "1").returncode == 2
