"""`ropeway jobs cancel`, `retry`, `edit`, `rm` and `ropeway quarantine`: changing jobs by hand."""

from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest

from ropeway.claims import Claim
from ropeway.ids import new_id
from ropeway.message import Failure, Message, fingerprint
from ropeway.states import State
from ropeway.stepping import step
from ropeway.transition import Finish, Reject, Transition
from tests.cli.support import ESCAPES, call, database, process, send

CAUSE = fingerprint("tasks.bad", "bad_arguments")
OTHER = fingerprint("tasks.gone", "unknown_task")


def fill() -> dict[str, list[str]]:
    """Put jobs into quarantine for two causes, and have some fail."""
    made: dict[str, list[str]] = {"bad": [], "gone": [], "failed": []}
    with database() as backend:
        for name in ("bad", "bad", "gone", "bad", "failed"):
            job = Message(id=new_id(), task=f"tasks.{name}", body=b'{"x": "one"}', queue="q")
            send(backend, job)
            made[name].append(job.id)
            (delivery,) = step(backend.receive([Claim("q", 1)], "me", 60.0))
            settle: Any = Reject("bad_arguments", f"no\n{ESCAPES}", fingerprint=CAUSE)
            if name == "gone":
                settle = Reject("unknown_task", "no such task", fingerprint=OTHER)
            if name == "failed":
                settle = Finish(State.FAILED, None, Failure(type="E", message="x"), 1e6)
            step(backend.commit([Transition(fence=delivery.fence, settle=settle)]))
    return made


@pytest.fixture
def made(here: Path) -> dict[str, list[str]]:
    """Return the ids of what is in quarantine, by cause, and of what failed."""
    return fill()


def state(job_id: str) -> str:
    """Return where a job is."""
    return str(shown(job_id)["state"])


def shown(job_id: str) -> dict[str, Any]:
    """Return what is kept of a job."""
    found: dict[str, Any] = json.loads(call("jobs", "show", job_id, "--json").stdout)
    return found


def listed(*words: str) -> list[str]:
    """Return the ids that a command lists."""
    done = call(*words, "--json", "--fields", "id")
    assert done.exit_code == 0, done.stderr
    return [each["id"] for each in json.loads(done.stdout)]


# --- looking --------------------------------------------------------------------------------------


def test_the_quarantine_is_listed(made: dict[str, list[str]]) -> None:
    """All that is in it, newest first, or what a search says."""
    everything = sorted(made["bad"] + made["gone"], reverse=True)
    assert listed("quarantine", "ls") == everything
    assert listed("quarantine", "ls", f"error:{CAUSE}") == made["bad"][::-1]
    assert listed("quarantine", "ls", "task:tasks.g*", "since:1h") == made["gone"]
    assert listed("quarantine", "ls", "--limit", "1") == everything[:1]
    assert listed("jobs", "ls", f"error:{OTHER}") == made["gone"]
    wrong = call("quarantine", "ls", "state:failed")
    assert (wrong.exit_code, "exclude each other" in wrong.stderr) == (2, True)


def test_failures_are_grouped(made: dict[str, list[str]]) -> None:
    """The largest group first, with its cause, its number and the error of the newest."""
    done = call("quarantine", "groups")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:3] for row in rows] == [[CAUSE, "3", "tasks.bad"], [OTHER, "1", "tasks.gone"]]
    assert rows[0][4] == "bad_arguments: no"
    (found,) = json.loads(call("quarantine", "groups", "task:tasks.bad", "--json").stdout)
    assert (found["number"], found["whole"], found["state"]) == (3, True, "quarantined")
    assert (found["newest_id"], found["oldest_id"]) == (made["bad"][2], made["bad"][0])
    assert found["error"]["cause"] == CAUSE
    failed = json.loads(call("quarantine", "groups", "--state", "failed", "--json").stdout)
    assert [(each["cause"], each["number"]) for each in failed] == [(None, 1)]
    assert call("quarantine", "groups", "ran:>5s").exit_code == 2


def test_nothing_in_quarantine(here: Path) -> None:
    """An empty list, and no database is made for it."""
    for words in (("ls",), ("groups",)):
        done = call("quarantine", *words)
        assert (done.exit_code, done.stdout) == (0, "")
        assert json.loads(call("quarantine", *words, "--json").stdout) == []
    assert call("quarantine", "retry", "--all").exit_code == 7
    assert not (here / ".ropeway").exists()


def test_a_job_is_shown_with_its_cause(made: dict[str, list[str]]) -> None:
    """Whole, with nothing that commands a terminal; the bytes of its arguments on their own."""
    text = call("quarantine", "show", made["bad"][0]).stdout
    assert f"Error (cause {CAUSE})" in text
    assert "\x1b" not in text
    raw = process("quarantine", "show", made["bad"][0], "--raw")
    assert raw.stdout == '{"x": "one"}'


# --- retry and rm ---------------------------------------------------------------------------------


def test_jobs_that_are_named_run_again(made: dict[str, list[str]]) -> None:
    """By the start of their ids, without a question; the number is printed."""
    done = call("quarantine", "retry", made["bad"][0], made["gone"][0])
    assert (done.exit_code, done.stdout) == (0, "2\n")
    assert [state(made["bad"][0]), state(made["gone"][0])] == ["queued"] * 2
    assert state(made["bad"][1]) == "quarantined"
    again = call("jobs", "retry", made["bad"][0])
    assert (again.exit_code, again.stdout) == (9, "0\n")
    assert "1: it is queued" in again.stderr


def test_all_of_a_cause_run_again(made: dict[str, list[str]]) -> None:
    """A dry run says how many; without a terminal nobody can be asked, so `--yes` is needed."""
    words = ("quarantine", "retry", "--filter", f"error:{CAUSE}")
    dry = call(*words, "--dry-run", "--json")
    assert json.loads(dry.stdout) == {
        "found": 3,
        "done": 3,
        "skipped": {},
        "sample": made["bad"],
        "dry_run": True,
    }
    refused = call(*words)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert "run again 3 jobs of sqlite:///" in refused.stderr
    assert "--yes" in refused.stderr
    assert {state(job_id) for job_id in made["bad"]} == {"quarantined"}
    done = call(*words, "--yes")
    assert (done.exit_code, done.stdout) == (0, "3\n")
    assert {state(job_id) for job_id in made["bad"]} == {"queued"}
    assert state(made["gone"][0]) == "quarantined"


def test_a_rate_spreads_them(made: dict[str, list[str]]) -> None:
    """Each is due later than the one before."""
    assert call("quarantine", "retry", "--all", "--rate", "1/h", "--yes").stdout == "4\n"
    dues = [shown(job_id)["due"] for job_id in sorted(made["bad"] + made["gone"])]
    hours = [due[11:13] for due in dues]
    assert len(set(hours)) == 4
    assert call("quarantine", "retry", "--all", "--rate", "often").exit_code == 2


def test_failed_jobs_run_again(made: dict[str, list[str]]) -> None:
    """`jobs retry` takes all that ended without success, and what succeeded only if asked."""
    assert call("jobs", "retry", "--filter", "state:failed", "-y").stdout == "1\n"
    with database() as backend:
        (delivery,) = step(backend.receive([Claim("q", 1)], "me", 60.0))
        done = Finish(State.SUCCEEDED, b"1")
        step(backend.commit([Transition(fence=delivery.fence, settle=done)]))
    assert call("jobs", "retry", made["failed"][0]).exit_code == 9
    assert call("jobs", "retry", "--filter", "state:succeeded", "-y").exit_code == 2
    assert call("jobs", "retry", made["failed"][0], "--succeeded").stdout == "1\n"
    assert call("jobs", "retry", "--all", "--yes", "--limit", "3").stdout == "3\n"
    assert call("jobs", "retry", "--all", "--yes").stdout == "1\n"


def test_jobs_are_removed(made: dict[str, list[str]]) -> None:
    """Asked first, also for one that is named; then nothing is kept of it."""
    job_id = made["bad"][0]
    for words in (("jobs", "rm", job_id), ("quarantine", "rm", job_id)):
        refused = call(*words)
        assert (refused.exit_code, "remove 1 job of" in refused.stderr) == (3, True)
    assert call("quarantine", "rm", job_id, "--yes").stdout == "1\n"
    assert call("jobs", "show", job_id).exit_code == 6
    assert call("quarantine", "rm", made["failed"][0], "-y").exit_code == 9
    assert call("jobs", "rm", "--filter", "state:failed", "-y").stdout == "1\n"
    assert listed("jobs", "ls") == sorted([*made["bad"][1:], *made["gone"]], reverse=True)


@pytest.mark.parametrize("words", [(), ("--all", "--filter", "x"), ("018f", "--all")])
def test_what_is_not_clear_changes_nothing(
    made: dict[str, list[str]], words: tuple[str, ...]
) -> None:
    """No command takes silence for everything."""
    for command in (("jobs", "cancel"), ("jobs", "retry"), ("jobs", "rm"), ("quarantine", "rm")):
        done = call(*command, *words, "--yes")
        assert (done.exit_code, "--filter" in done.stderr) == (2, True)
    assert len(listed("quarantine", "ls")) == 4


def test_a_terminal_is_asked(made: dict[str, list[str]]) -> None:
    """The question names how many, and where; no is no."""
    for answer, expected in ((b"n\n", 4), (b"y\n", 0)):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "ropeway", "quarantine", "rm", "--all"])
        os.write(terminal, answer)
        said = b""
        try:
            while part := os.read(terminal, 4096):
                said += part
        except OSError:  # the other end has gone
            pass
        os.waitpid(pid, 0)
        os.close(terminal)
        assert b"Remove 4 jobs of sqlite:///" in said
        assert len(listed("quarantine", "ls")) == expected


# --- cancel ---------------------------------------------------------------------------------------


def test_jobs_are_cancelled(jobs: dict[str, str]) -> None:
    """For each that is named what became of it; of those that are found, how many."""
    done = call("jobs", "cancel", jobs["queued"], jobs["running"])
    assert done.exit_code == 0
    assert done.stdout == f"{jobs['queued']}\tcancelled\n{jobs['running']}\tasked\n"
    over = call("jobs", "cancel", jobs["failed"], "--json")
    assert json.loads(over.stdout) == [{"id": jobs["failed"], "became": "ended"}]
    assert over.exit_code == 9
    assert call("jobs", "cancel", "--filter", "queue:scheduled", "--yes").stdout == "1\n"
    assert (state(jobs["scheduled"]), state(jobs["retrying"])) == ("cancelled", "queued")
    assert call("jobs", "cancel", "--all", "--dry-run").stdout == "2\n"
    assert call("jobs", "cancel", "--filter", "state:failed", "-y").exit_code == 2


# --- edit -----------------------------------------------------------------------------------------


def test_a_job_in_quarantine_is_put_right(made: dict[str, list[str]]) -> None:
    """It is shown what changes, then asked; the job runs again with it."""
    job_id = made["bad"][0]
    words = ("quarantine", "edit", job_id, "--set", "x=1", "--queue", "other")
    dry = call(*words, "--dry-run")
    assert dry.stderr == 'queue: q → other\narguments: {"x": "one"} → {"x": 1}\n'
    assert state(job_id) == "quarantined"
    assert call(*words).exit_code == 3
    done = call(*words, "--yes")
    assert (done.exit_code, done.stdout) == (0, job_id + "\n")
    found = shown(job_id)
    assert (found["state"], found["queue"], found["arguments"]) == ("queued", "other", {"x": 1})
    with database() as backend:
        (delivery,) = step(backend.receive([Claim("other", 1)], "me", 60.0))
    assert delivery.message.body == b'{"x":1}'


def test_all_that_can_be_put_right(made: dict[str, list[str]], here: Path) -> None:
    """The task, the priority, when it is due; all arguments, or bytes of a file."""
    job_id = made["gone"][0]
    done = call(
        *("jobs", "edit", job_id, "--task", "tasks.new", "--priority", "9", "--delay", "1h"),
        *("--args", '{"y": [1]}', "--yes", "--json"),
    )
    told = json.loads(done.stdout)
    assert (told["runs_again"], told["dry_run"], len(told["changed"])) == (True, False, 4)
    found = shown(job_id)
    assert (found["task"], found["priority"], found["arguments"]) == ("tasks.new", 9, {"y": [1]})
    assert found["view"] == "scheduled"
    (here / "body").write_bytes(b"\xff\x00")
    assert call("jobs", "edit", made["bad"][0], "--body", "body", "-y").exit_code == 0
    raw = process("quarantine", "show", made["bad"][0], "--raw", errors="surrogateescape")
    assert raw.stdout == "\udcff\0"


def test_a_waiting_job_is_changed_where_it_is(jobs: dict[str, str]) -> None:
    """What waits keeps its counters; what runs is refused."""
    done = call("jobs", "edit", jobs["retrying"], "--set", "x=2", "--yes")
    assert done.exit_code == 0
    found = shown(jobs["retrying"])
    assert (found["state"], found["failures"], found["arguments"]["x"]) == ("queued", 1, 2)
    running = call("jobs", "edit", jobs["running"], "--set", "x=2", "--yes")
    assert (running.exit_code, "is running" in running.stderr) == (9, True)
    task = call("jobs", "edit", jobs["queued"], "--task", "other", "--yes")
    assert (task.exit_code, "cannot be changed" in task.stderr) == (9, True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--args", "[1]"),
        ("--args", "{"),
        ("--set", "x"),
        ("--set", "=1"),
        ("--args", "{}", "--set", "x=1"),
        ("--priority", "10"),
        ("--queue", ""),
    ],
)
def test_a_wrong_correction(made: dict[str, list[str]], words: tuple[str, ...]) -> None:
    """It is a wrong usage, and the job stays where it is."""
    done = call("quarantine", "edit", made["bad"][0], *words, "--yes")
    assert done.exit_code == 2
    assert state(made["bad"][0]) == "quarantined"


# --- hostile names --------------------------------------------------------------------------------


def test_no_name_commands_the_terminal(here: Path) -> None:
    """Control characters in the names of tasks, queues and reasons are shown, never sent."""
    with database() as backend:
        job = Message(id=new_id(), task=f"t{ESCAPES}", queue=f"q{ESCAPES}", body=b"\x1b]0;x\x07")
        send(backend, job, Message(id=new_id(), task=f"u{ESCAPES}", queue=f"r{ESCAPES}"))
        (delivery,) = step(backend.receive([Claim(job.queue, 1)], f"h{ESCAPES}", 60.0))
        reject = Reject(f"bad{ESCAPES}", ESCAPES, fingerprint=CAUSE)
        step(backend.commit([Transition(fence=delivery.fence, settle=reject)]))
    for words in (
        ("jobs", "ls"),
        ("jobs", "show", job.id),
        ("quarantine", "ls"),
        ("quarantine", "groups"),
        ("quarantine", "edit", job.id, "--task", ESCAPES, "--dry-run"),
        ("quarantine", "retry", "--all", "--dry-run"),
        ("queues", "ls"),
        ("queues", "peek", f"r{ESCAPES}"),
    ):
        for form in ((), ("--json",)):
            done = process(*words, *form)
            assert done.returncode == 0, done.stderr
            assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*done.stdout, *done.stderr}
