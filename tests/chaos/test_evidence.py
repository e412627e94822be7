"""From files that several processes wrote to what is known of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.history import History, Tail
from chaos.nemeses import caught
from tests.chaos.recorded import Recorded

JOB = "job-a"


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """Return an empty run."""
    return Recorded(tmp_path)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([], "info"),
        (["ok"], "ok"),
        (["fail"], "fail"),
        (["info"], "info"),
        (["info", "invoke", "ok"], "ok"),
        (["fail", "invoke"], "info"),
        (["fail", "invoke", "info"], "info"),
        (["info", "invoke", "fail"], "info"),
        (["fail", "invoke", "fail"], "fail"),
    ],
)
def test_the_outcome_of_a_send(recorded: Recorded, answers: list[str], outcome: str) -> None:
    """What was asked for and not answered may have been done, whatever the next answer is."""
    recorded.log(1, "invoke", "send", id=JOB, n=3, v="feed")
    for t, answer in enumerate(answers, start=2):
        recorded.log(t, answer, "send", id=JOB, n=3, v="feed")
    sent = recorded.evidence().sends[JOB]
    assert (sent.outcome, sent.work) == (outcome, "3.feed")


def test_a_run_that_was_killed_is_over_when_it_was_killed(recorded: Recorded) -> None:
    """It wrote no end; and it was caught in the middle."""
    recorded.log(5, "start", "plain", id=JOB, attempt=1, sup=40)
    recorded.log(9, "strike", "kill supervisor", sup=40)
    recorded.log(10, "heal", "kill supervisor", sup=40)
    evidence = recorded.evidence()
    (run,), (strike,) = evidence.runs[JOB], evidence.strikes
    assert (run.ended, run.gone, strike.until) == (None, 9, 10)
    assert caught(strike, evidence) == [run]


def test_a_run_without_an_end_was_there_when_its_process_was_seen_last(
    recorded: Recorded,
) -> None:
    """Later than that nothing shows that it still ran."""
    recorded.log(5, "start", "plain", id=JOB, attempt=1, sup=40)
    recorded.log(7, "start", "plain", id="another", attempt=1, sup=40)
    (run,) = recorded.evidence().runs[JOB]
    assert run.gone == 7


def test_a_process_may_be_stopped_several_times(recorded: Recorded) -> None:
    """Each strike ends with the heal that follows it."""
    for stop, cont in ((10, 20), (30, 45)):
        recorded.log(stop, "strike", "stop supervisor", sup=40)
        recorded.log(cont, "heal", "stop supervisor", sup=40)
    assert [(each.t, each.until) for each in recorded.evidence().strikes] == [(10, 20), (30, 45)]


def test_what_is_not_written_whole_is_not_read(tmp_path: Path) -> None:
    """A line without its end is read when the end is there."""
    path = tmp_path / "x.jsonl"
    history = History(tmp_path, "whole")
    history.log("phase", "began", at=1)
    (whole,) = tmp_path.glob("whole-*.jsonl")
    line = whole.read_bytes()
    path.write_bytes(line + line[:10])
    tail = Tail(path)
    assert [record.op for record in tail.more()] == ["began"]
    assert tail.more() == []
    with path.open("ab") as file:
        file.write(line[10:])
    assert [record.t for record in tail.more()] == [1]


def test_refused_settles_are_counted_in_the_logs_of_the_workers(recorded: Recorded) -> None:
    """A worker says by itself what it could not settle."""
    line = "job x: attempt 1 was not settled (lost): another worker has taken it over\n"
    recorded.folder.joinpath("worker-000.log").write_text(line * 2 + "job y failed\n")
    recorded.folder.joinpath("worker-001.log").write_text(line)
    assert recorded.evidence().refused == 3
