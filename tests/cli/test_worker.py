"""`ropeway worker`, as a process that is started, used and asked to stop."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from ropeway.worker import supervisor
from ropeway.worker.drain import HANDED_BACK
from ropeway.worker.options import WorkerOptions
from tests.cli.support import Eventually, call, process, working


def test_from_start_to_stop(tasks: Path, eventually: Eventually) -> None:
    """It finds the app, runs what is sent, and ends with 0 on SIGTERM."""
    with working(eventually) as worker:
        job_id = process("run", "add", "1", "2").stdout.strip()
        found = call("jobs", "result", job_id, "--wait", "--timeout", "20s")
        assert found.stdout == "3\n"
        assert worker.stop() == 0
    lines = [json.loads(line) for line in worker.said().splitlines() if line.startswith("{")]
    messages = [line["message"] for line in lines]
    assert "app tasks.py with 5 tasks" in messages
    assert "serving every queue" in messages
    assert "1 children, each with 100 loop slots and 8 threads" in messages
    assert messages[-1] == "stopped: 1 settled, 0 lost to others, 0 handed back"
    assert {line["level"] for line in lines} == {"info"}


def test_ctrl_c(tasks: Path, eventually: Eventually) -> None:
    """Is an orderly stop."""
    with working(eventually) as worker:
        assert worker.stop(signal.SIGINT) == 0


def test_handing_back(tasks: Path, eventually: Eventually) -> None:
    """Exit code 11 when running jobs were given back; they are queued again."""
    with working(eventually) as worker:
        job_id = process("run", "sleep", "60").stdout.strip()
        eventually(lambda: "\trunning\t" in call("jobs", "ls").stdout)
        assert worker.stop(signal.SIGQUIT) == HANDED_BACK
    found = json.loads(call("jobs", "show", job_id, "--json").stdout)
    assert (found["state"], found["failures"], found["releases"]) == ("queued", 0, 1)


def test_two_workers(tasks: Path, eventually: Eventually) -> None:
    """Share one database."""
    with working(eventually) as first, working(eventually, log="second.log") as second:
        wanted = {first.process.pid, second.process.pid}

        def seen() -> bool:
            done = [process("run", "pid", "--wait", "--timeout", "20s") for _ in range(2)]
            wanted.difference_update(int(each.stdout) for each in done)
            return not wanted

        eventually(seen, 40)
        assert first.stop() == second.stop() == 0


def test_only_some_queues(tasks: Path, eventually: Eventually) -> None:
    """What is in others stays there."""
    with working(eventually, "-Q", "mail, slow", "-Q", "mail"):
        other = process("run", "add", "1").stdout.strip()
        mine = process("run", "add", "1", "--queue", "mail").stdout.strip()
        assert call("jobs", "result", mine, "--wait", "--timeout", "20s").exit_code == 0
        assert call("jobs", "result", other).exit_code == 8


def test_pretty_log(tasks: Path, eventually: Eventually) -> None:
    """For people, also when it is piped."""
    with working(eventually, "--log-format", "pretty", "tasks:app") as worker:
        process("run", "boom", "x\x1b[31m", "--wait")
        worker.stop()
    assert " app tasks:app with 5 tasks\n" in worker.said()
    assert "error: job " in worker.said()
    assert "\x1b" not in worker.said()


def test_an_app_that_fails(here: Path) -> None:
    """The traceback is shown and the worker ends."""
    (here / "tasks.py").write_text("from ropeway import Ropeway\napp = Ropeway(\nx\n")
    done = process("worker", "--children", "1")
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr


@pytest.mark.parametrize("words", [[], ["-A", "nowhere"], ["nowhere.py"], ["json"]])
def test_no_app(here: Path, words: list[str]) -> None:
    """Exit code 2."""
    done = process("worker", "--children", "1", *words)
    assert done.returncode == 2
    assert "RW-002" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unusable_database(tasks: Path) -> None:
    """Exit code 7."""
    path = tasks.parent / ".ropeway" / "ropeway.db"
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    done = process("worker", "--children", "1")
    assert done.returncode == 7
    assert "RW-201" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_backend_of_one_process(tasks: Path) -> None:
    """Cannot be served by several."""
    done = process("-u", "memory://", "worker", "--children", "1")
    assert done.returncode == 1
    assert "RW-210" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--children", "0"],
        ["--loop-slots", "0"],
        ["--threads", "5000"],
        ["-Q", "a,,b"],
        ["--log-level", "loud"],
        ["one.py", "-A", "other.py"],
    ],
)
def test_wrong_usage(tasks: Path, words: list[str]) -> None:
    """Exit code 2."""
    assert call("worker", *words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "level"),
    [([], "INFO"), (["-q"], "WARNING"), (["-v"], "DEBUG"), (["-q", "--log-level=error"], "ERROR")],
)
def test_options_reach_the_worker(
    here: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], level: str
) -> None:
    """Each of them, and the exit code comes back."""
    seen: list[WorkerOptions] = []
    levels: list[str] = []

    def run(options: WorkerOptions) -> int:
        seen.append(options)
        return 11

    monkeypatch.setattr(supervisor, "run_worker", run)
    monkeypatch.setattr("logging.basicConfig", lambda level, **_: levels.append(level))
    words = ["a:b", "-Q", "x,y", "--children", "3", "--loop-slots", "7", "--threads", "2", *words]
    assert call("worker", *words).exit_code == 11
    assert levels == [level]
    assert seen == [
        WorkerOptions(target="a:b", queues=("x", "y"), children=3, loop_slots=7, thread_slots=2)
    ]
