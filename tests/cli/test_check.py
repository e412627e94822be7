"""`ropeway check`: figures against limits, in the words and exit codes of monitoring."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ropeway.broker import QueueStats
from ropeway.operate.facts import Facts
from ropeway.operate.probes import WORDS, Limit, nagios, prometheus, readings, worst
from tests.cli import support
from tests.cli.support import call

NOW = 1000.0
FACTS = Facts(
    now=NOW,
    cap=1000,
    queues=[
        QueueStats(queue="mail", ready=5, oldest_due=NOW - 90),
        QueueStats(queue="later", delayed=2, oldest_due=NOW + 50),
    ],
)


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        (Limit(figure="ready", most=5), 0),
        (Limit(figure="ready", most=4), 2),
        (Limit(figure="ready", warn=4, most=10), 1),
        (Limit(figure="ready", queue="later", most=0), 0),
        (Limit(figure="ready", queue="unknown", most=0), 0),
        (Limit(figure="age", most=90), 0),
        (Limit(figure="age", queue="mail", most=89), 2),
        (Limit(figure="age", queue="later", most=0), 0),
        (Limit(figure="workers", most=0), 0),
        (Limit(figure="workers", most=1), 2),
        (Limit(figure="workers", queue="mail", most=1), 2),
        (Limit(figure="workers", warn=1, most=0), 1),
        (Limit(figure="failed", most=0), 0),
        (Limit(figure="quarantined", most=0), 0),
    ],
)
def test_verdicts(limit: Limit, verdict: int) -> None:
    """A limit may be reached, and not passed."""
    found = readings(FACTS, [limit])
    assert worst(found) == verdict
    assert nagios(found).startswith(f"ROPEWAY {WORDS[verdict]} - ")


def test_the_worst_counts() -> None:
    """Of several limits."""
    limits = [Limit(figure="ready", warn=1, most=9), Limit(figure="workers", most=1)]
    found = readings(FACTS, limits)
    assert worst(found) == 2
    assert nagios(found) == (
        "ROPEWAY CRITICAL - ready of mail is 5, more than 1; workers is 0, less than 1"
        " | 'ready_later'=0;1;9;0 'ready_mail'=5;1;9;0 'workers'=0;;1:;0"
    )


def test_prometheus_reads_it() -> None:
    """Every line is a comment or a figure, whatever a queue is called."""
    odd = QueueStats(queue='a"b\\c\nd', ready=1)
    text = prometheus(Facts(now=NOW, cap=10, queues=[*FACTS.queues, odd]))
    sample = re.compile(r'ropeway_\w+(\{queue="(?:[^"\\\n]|\\["\\n])*"\})? [0-9.e+-]+')
    for line in text.splitlines():
        assert line.startswith(("# HELP ropeway_", "# TYPE ropeway_")) or sample.fullmatch(line)
    assert 'ropeway_oldest_due_age_seconds{queue="mail"} 90' in text
    assert 'ropeway_oldest_due_age_seconds{queue="later"} 0' in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--max-ready", "1"], 0),
        (["--max-ready", "0"], 2),
        (["--max-ready", "0:1"], 1),
        (["--max-ready", "queued=0", "--max-ready", "running=5"], 2),
        (["--max-age", "retrying=0:1s", "--max-age", "queued=1h"], 0),
        (["--min-workers", "1"], 2),
        (["--max-failed", "0"], 0),
        (["--max-quarantined", "0"], 2),
        ([], 0),
    ],
)
def test_of_a_database(jobs: dict[str, str], words: list[str], code: int) -> None:
    """One line, and the exit code says the same; in each format."""
    found = call("check", *words)
    assert (found.exit_code, found.stderr) == (code, "")
    assert found.stdout.count("\n") == 1
    told = json.loads(call("check", *words, "--format", "json").stdout)
    assert told["status"] == ("ok", "warning", "critical")[code]
    assert call("check", *words, "--format", "prometheus").exit_code == code


@pytest.mark.parametrize("form", ["nagios", "json", "prometheus"])
def test_nothing_can_be_told(here: Path, form: str) -> None:
    """Is a verdict of its own; the reason is where the figures would be."""
    found = call("check", "--min-workers", "1", "--format", form)
    assert found.exit_code == 3
    assert "RW-201" in found.stdout
    assert not found.stderr


@pytest.mark.parametrize("words", [["--max-ready", "x"], ["--max-agee", "1"], ["--format", "xml"]])
def test_a_wrong_usage_is_no_alarm(here: Path, words: list[str]) -> None:
    """2 would be one."""
    assert call("check", *words).exit_code == 3


def test_a_worker_counts_when_it_takes_jobs(tasks: Path, eventually: support.Eventually) -> None:
    """Of the queue that is asked for."""
    with support.working(eventually, "-Q", "slow"):
        eventually(lambda: call("check", "--min-workers", "1").exit_code == 0)
        assert call("check", "--min-workers", "slow=1").exit_code == 0
        assert call("check", "--min-workers", "default=1").exit_code == 2
    assert call("check", "--min-workers", "1").exit_code == 2
