"""`ropeway jobs`: lists, pages and results, from a database with a job in every state."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ropeway.cli import jobpage, jobview
from ropeway.codec import Undecodable
from ropeway.message import Failure, JobRecord, Message
from ropeway.operate import job as told
from ropeway.states import State
from ropeway.why import Facts, why
from tests.cli import support
from tests.cli.support import call

COLUMNS = 9


def rows(*options: str) -> list[list[str]]:
    """Return the cells that `jobs ls` prints."""
    found = call("jobs", "ls", *options)
    assert found.exit_code == 0
    assert not found.stderr
    return [line.split("\t") for line in found.stdout.splitlines()]


# --- ls -------------------------------------------------------------------------------------------


def test_ls_newest_first(jobs: dict[str, str]) -> None:
    """A line for each job, with its whole id."""
    found = rows()
    assert [row[0] for row in found] == sorted(jobs.values(), reverse=True)
    assert {len(row) for row in found} == {COLUMNS}
    states = [row[3] for row in found]
    assert states == [
        "queued",
        "queued",
        "running",
        "queued",
        "quarantined",
        "failed",
        "succeeded",
    ]


def test_ls_what_is_known(jobs: dict[str, str]) -> None:
    """Attempts, times and the first line of the error."""
    by_id = {row[0]: row for row in rows()}
    failed = by_id[jobs["failed"]]
    assert failed[1:5] == ["tasks.failed", "failed", "failed", "1"]
    assert failed[5].endswith("s") and failed[6].endswith("s")
    assert re.fullmatch(r"now|\d+s ago", failed[7])
    assert failed[8] == "ValueError: first"
    assert by_id[jobs["scheduled"]][4:7] == ["0", "in 59m", "-"]
    assert by_id[jobs["retrying"]][4:7] == ["1", "in 59m", "-"]
    assert by_id[jobs["succeeded"]][8] == "-"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--state", "failed"], ["failed"]),
        (["--state", "queued"], ["queued", "scheduled", "retrying"]),
        (["--task", "tasks.running"], ["running"]),
        (["--queue", "succeeded"], ["succeeded"]),
        (["--limit", "2"], ["queued", "scheduled"]),
        (["--before", support.IDS["failed"].upper()], ["succeeded"]),
        (["--queue", "succeeded", "--state", "failed"], []),
    ],
)
def test_ls_filters(jobs: dict[str, str], options: list[str], names: list[str]) -> None:
    """They narrow the list, together too."""
    assert [row[0] for row in rows("-q", *options)] == [jobs[name] for name in names]


def test_ls_json(jobs: dict[str, str]) -> None:
    """An array of objects with stable fields."""
    found = json.loads(call("jobs", "ls", "--json").stdout)
    assert [job["id"] for job in found] == sorted(jobs.values(), reverse=True)
    by_state = {job["queue"]: job for job in found}
    assert {queue: job["view"] for queue, job in by_state.items()} == {name: name for name in jobs}
    failed = by_state["failed"]
    assert list(failed) == [
        "id",
        "task",
        "queue",
        "priority",
        "state",
        "view",
        "attempt",
        "failures",
        "losses",
        "releases",
        "enqueued",
        "due",
        "started",
        "finished",
        "waited_seconds",
        "ran_seconds",
        "holder",
        "error",
    ]
    assert failed["error"] == {
        "type": "ValueError",
        "message": f"first\n{support.ESCAPES}",
        "cause": None,
    }
    assert failed["attempt"] == failed["failures"] == 1
    assert failed["finished"].endswith("Z")
    assert by_state["scheduled"]["waited_seconds"] is None
    assert by_state["queued"]["started"] is None


def test_ls_nothing_found(jobs: dict[str, str]) -> None:
    """An empty list is a success; the word for it is talk."""
    found = call("jobs", "ls", "--state", "expired")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "no jobs\n")
    assert call("jobs", "ls", "--state", "expired", "--json").stdout == "[]\n"


@pytest.mark.parametrize(
    "options", [["--state", "lost"], ["--limit", "0"], ["--limit", "x"], ["zz:1"], ["state:lost"]]
)
def test_ls_wrong_usage(here: Path, options: list[str]) -> None:
    """Exit code 2, and standard output stays empty."""
    found = call("jobs", "ls", *options)
    assert found.exit_code == 2
    assert not found.stdout


# --- the database ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("jobs", "ls"), ("queues", "ls")])
def test_no_database_yet(here: Path, words: tuple[str, ...]) -> None:
    """Looking does not make one."""
    found = call(*words)
    assert (found.exit_code, found.stdout) == (0, "")
    assert f"no database at {here}/.ropeway/ropeway.db yet" in found.stderr
    found = call(*words, "--json")
    assert (found.exit_code, found.stdout) == (0, "[]\n")
    assert call(*words, "-q").stderr == ""
    assert [path.name for path in here.iterdir()] == ["pyproject.toml"]


@pytest.mark.parametrize("verb", ["show", "result"])
def test_no_database_and_one_job(here: Path, verb: str) -> None:
    """No job is found in it, and the hint says why."""
    found = call("jobs", verb, "018f")
    assert found.exit_code == 6
    assert found.stderr.startswith("RW-301")
    assert "there is no database at" in found.stderr
    assert not (here / ".ropeway").exists()


@pytest.mark.parametrize(
    "words", [("jobs", "ls"), ("queues", "ls"), ("jobs", "show", "018f"), ("jobs", "result", "0")]
)
def test_garbage_in_the_file(here: Path, words: tuple[str, ...]) -> None:
    """Exit code 7, and the file stays as it was."""
    path = here / ".ropeway" / "ropeway.db"
    path.parent.mkdir()
    path.write_bytes(b"this is no database " * 500)
    found = call(*words)
    assert found.exit_code == 7
    assert found.stderr.startswith("RW-201")
    assert "Traceback" not in found.stderr
    assert path.read_bytes() == b"this is no database " * 500


@pytest.mark.parametrize(
    ("url", "code", "name"),
    [
        ("sqlite://", 10, "RW-001"),
        ("mongodb://host", 10, "RW-011"),
        ("memory://", 1, "RW-210"),
        ("sqlite:////proc/none/x.db", 0, ""),
    ],
)
def test_other_urls(here: Path, url: str, code: int, name: str) -> None:
    """What cannot be looked at says why."""
    found = call("jobs", "ls", "--url", url)
    assert found.exit_code == code
    assert found.stderr.startswith(name)


def test_the_url_may_stand_anywhere(jobs: dict[str, str], tmp_path: Path) -> None:
    """And goes before the environment, which goes before the default."""
    other = f"sqlite:///{tmp_path}/other.db"
    for words in (
        ("-u", other, "jobs", "ls"),
        ("jobs", "-u", other, "ls"),
        ("jobs", "ls", "--url", other),
    ):
        assert "other.db yet" in call(*words).stderr
    assert "other.db yet" in call("jobs", "ls").stderr  # the variable was set for the process
    assert len(rows("--url", support.url())) == len(jobs)


def test_a_wrong_setting(here: Path) -> None:
    """Exit code 10."""
    (here / "pyproject.toml").write_text('[tool.ropeway]\nurll = "x"\n')
    found = call("jobs", "ls")
    assert found.exit_code == 10
    assert "did you mean 'url'?" in found.stderr


# --- show -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", support.IDS)
def test_show(jobs: dict[str, str], name: str) -> None:
    """Every state has its words, and nothing can command the terminal."""
    found = call("jobs", "show", jobs[name])
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["job", jobs[name]]
    assert lines[1].split() == ["task", f"tasks.{name}"]
    assert lines[2].startswith(f"state     {name}: ")
    assert '    "text": "\\u009b2J"' in lines
    assert "\x1b" not in found.stdout and "\x9b" not in found.stdout
    assert ("Result" in lines) == (name == "succeeded")
    assert any(line.startswith("Error") for line in lines) == (
        name in {"failed", "retrying", "quarantined"}
    )


def test_show_sections(jobs: dict[str, str]) -> None:
    """The result is pretty, the error has its traceback, a due time ahead is told."""
    assert '    "found": [\n' in call("jobs", "show", jobs["succeeded"]).stdout
    failed = call("jobs", "show", jobs["failed"]).stdout
    assert "Error\n  Trace\n  red\\x1b[31m" in failed
    retrying = call("jobs", "show", jobs["retrying"]).stdout
    assert "retrying: attempt 1 failed (ValueError: first); attempt 2 is due in 59m" in retrying
    assert "Error of the last attempt" in retrying
    assert "scheduled: it is due in 59m, at " in call("jobs", "show", jobs["scheduled"]).stdout
    assert "by some-worker" in call("jobs", "show", jobs["running"]).stdout


def test_show_json(jobs: dict[str, str]) -> None:
    """All that is kept, as one object."""
    found = json.loads(call("--json", "jobs", "show", jobs["failed"]).stdout)
    assert found["id"] == jobs["failed"]
    assert found["arguments"] == {"x": 1, "text": "\x9b2J"}
    assert found["result"] is None
    assert found["error"]["traceback"].startswith("Trace")
    found = json.loads(call("jobs", "show", jobs["succeeded"], "--json").stdout)
    assert found["result"] == {"found": [1, 2.5, None]}
    assert found["error"] is None


def test_prefixes(jobs: dict[str, str]) -> None:
    """The start of an id will do, in any case, if it fits one job."""
    only = jobs["queued"]
    assert call("jobs", "show", f" {only[:-1].upper()}{only[-1]} ").exit_code == 0
    found = call("jobs", "show", "018F")
    assert found.exit_code == 2
    assert "begins the id of several jobs" in found.stderr
    for name, job_id in jobs.items():
        assert f"{job_id}  tasks.{name}" in found.stderr
    found = call("jobs", "show", "018f", "--json")
    assert json.loads(found.stderr)["error"]["code"] == "usage"


def test_many_candidates(here: Path) -> None:
    """Ten are shown."""
    with support.database() as backend:
        for number in range(12):
            support.send(backend, Message(id=f"018f-{number:031x}", task="tasks.t"))
    found = call("jobs", "show", "018f")
    assert found.exit_code == 2
    assert found.stderr.count("tasks.t") == 10
    assert found.stderr.endswith("\n  ...\n")


@pytest.mark.parametrize("start", ["ff", "0" * 36, "zz", "%"])
@pytest.mark.parametrize("verb", ["show", "result"])
def test_no_such_job(jobs: dict[str, str], verb: str, start: str) -> None:
    """Exit code 6."""
    found = call("jobs", verb, start)
    assert found.exit_code == 6
    assert found.stderr.startswith("RW-301")
    assert not found.stdout


def record(body: bytes, content_type: str = "application/json") -> JobRecord:
    """Make the record of a job."""
    message = Message(id="1", task="t", body=body, content_type=content_type)
    return JobRecord(message=message, state=State.CANCELLED)


@pytest.mark.parametrize(
    ("body", "content_type"), [(b"{", "application/json"), (b"{}", "text/x"), (b"\xff\x1b", "")]
)
def test_arguments_that_cannot_be_read(body: bytes, content_type: str) -> None:
    """Are shown as they begin, harmless or not: printing makes them so."""
    job = record(body, content_type)
    assert isinstance(told.arguments(job), Undecodable)
    answer = why(Facts(now=1.0, job=job))
    assert "cannot be read: " in jobpage.page(job, 1.0, answer)
    found = told.whole(job, 1.0, answer)
    assert found["arguments"] is None
    assert found["unreadable"]


def test_msgpack_is_shown_as_plain_values() -> None:
    """Bytes as base64, keys as text."""
    job = record(b"\x82\xa1a\xc4\x01x\x01\x02", "application/msgpack")
    assert told.arguments(job) == {"a": "eA==", "1": 2}


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_words_and_a_mark(state: State) -> None:
    """Whatever else is unknown of the job."""
    message = Message(id="1", task="t")
    job = JobRecord(message=message, state=state, error=Failure(type="E", message=""))
    assert jobview.mark(job, 0.0).text
    answer = why(Facts(now=0.0, job=job))
    assert answer.says
    assert jobview.row(job, 0.0)[-1] == "E"
    assert jobpage.page(job, 0.0, answer)


# --- result ---------------------------------------------------------------------------------------


def test_result(jobs: dict[str, str]) -> None:
    """The value and nothing else."""
    found = call("jobs", "result", jobs["succeeded"])
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout == '{"found": [1, 2.5, null]}\n'


@pytest.mark.parametrize("name", ["failed", "quarantined"])
def test_result_of_a_failure(jobs: dict[str, str], name: str) -> None:
    """Exit code 5, with or without waiting."""
    for words in ((), ("--wait",), ("--wait", "--timeout", "1s")):
        found = call("jobs", "result", jobs[name], *words)
        assert found.exit_code == 5
        assert found.stderr.startswith("RW-304")
        assert not found.stdout


@pytest.mark.parametrize("name", ["queued", "running", "scheduled", "retrying"])
def test_result_too_early(jobs: dict[str, str], name: str) -> None:
    """Exit code 8, at once or after the time given."""
    found = call("jobs", "result", jobs[name])
    assert found.exit_code == 8
    assert "no result yet" in found.stderr
    found = call("jobs", "result", jobs[name], "--wait", "--timeout", "20ms")
    assert found.exit_code == 8
    assert found.stderr.startswith("RW-302")


@pytest.mark.parametrize("text", ["soon", "-1", "1x", "", "inf", "nan"])
def test_result_wrong_timeout(jobs: dict[str, str], text: str) -> None:
    """Exit code 2: it is the command that is wrong, no setting."""
    found = call("jobs", "result", jobs["queued"], "--wait", f"--timeout={text}")
    assert found.exit_code == 2
    assert "is not a duration" in found.stderr


def test_timeout_needs_wait(jobs: dict[str, str]) -> None:
    """Rather than to be ignored."""
    assert call("jobs", "result", jobs["queued"], "--timeout", "1s").exit_code == 2
