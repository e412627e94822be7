"""`ropeway jobs ls SEARCH`: what is found, what is underlined, and how far it is looked."""

from __future__ import annotations

import json

import pytest

from ropeway.message import Message
from ropeway.operate import finding as searched
from tests.cli import support
from tests.cli.support import call


def found(*words: str) -> list[str]:
    """Return the queues of the jobs that are found: each job's is named after its state."""
    done = call("jobs", "ls", "--fields", "queue", *words)
    assert (done.exit_code, done.stderr.replace("no jobs\n", "")) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "queues"),
    [
        (["state:failed"], ["failed"]),
        (["state:failed,running"], ["running", "failed"]),
        (["-state:queued"], ["running", "quarantined", "failed", "succeeded"]),
        (["state:retrying"], ["retrying"]),
        (["error:ValueError", "-state:failed"], ["retrying"]),
        (["task:tasks.r*"], ["running", "retrying"]),
        (["tasks.r"], ["running", "retrying"]),
        (["task:tasks.r* queue:running"], ["running"]),
        (["unknown_task"], ["quarantined"]),
        (["worker:some-*"], ["running"]),
        (["failures:>0", "--state", "failed"], ["failed"]),
        (["nobody"], []),
    ],
)
def test_search(jobs: dict[str, str], words: list[str], queues: list[str]) -> None:
    """Words and options together, newest first."""
    assert found(*words) == queues


def test_by_time(jobs: dict[str, str]) -> None:
    """The ids of these say that they are of 2024."""
    assert found("until:2025-01-01", "state:failed") == ["failed"]
    assert found("since:2025-01-01") == []


def test_what_is_wrong_is_underlined(jobs: dict[str, str]) -> None:
    """Below the search as it was typed."""
    done = call("jobs", "ls", "queue:mail", "stat:failed")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "RW-004  there is no field 'stat'",
        "        queue:mail stat:failed",
        "                   ^^^^",
        '        → did you mean state? (for text, quote it: "a:b")',
    ]
    error = json.loads(call("jobs", "ls", "stat:failed", "--json").stderr)["error"]
    assert error["code"] == "RW-004"


def test_an_option_and_a_term_that_say_the_same(jobs: dict[str, str]) -> None:
    """Are one too many."""
    done = call("jobs", "ls", "state:failed", "--state", "queued")
    assert done.exit_code == 2
    assert "--state and state:" in done.stderr


def test_pages(jobs: dict[str, str]) -> None:
    """What is left out of a page is in the next, and nothing twice."""
    with support.database() as backend:
        support.send(backend, *(Message(id=f"{n:036}", task=f"t{n % 2}") for n in range(500)))
    ids: list[str] = []
    before: list[str] = []
    for _ in range(4):
        page = call("jobs", "ls", "task:t1*", "--limit", "70", "--fields", "id", *before)
        ids += page.stdout.split()
        before = ["--before", ids[-1]]
    assert ids == [f"{n:036}" for n in range(499, 0, -2)]


def test_a_long_search_stops_and_says_how_far_it_came(
    jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than to look at a million jobs one by one."""
    monkeypatch.setattr(searched, "PATIENCE", -1.0)
    monkeypatch.setattr(searched, "_PAGE", 3)
    done = call("jobs", "ls", "succeeded")
    assert done.stdout == ""
    assert "examined 3 of about" in done.stderr
    older = call("jobs", "ls", "tasks", "--json", "--limit", "3")
    assert len(json.loads(older.stdout)) == 3
