"""The language of searches: what is asked of a backend, what is tested on each job, what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.errors import BadSearch
from ropeway.graph import Place
from ropeway.message import Failure, JobRecord, Message, Terms
from ropeway.searching import FIELDS, parse
from ropeway.states import State
from ropeway.store import Filter

NOW = 1_000_000_000.0


def job(state: State = State.QUEUED, **more: Any) -> JobRecord:
    """Make a record of a job."""
    message: dict[str, Any] = {
        "id": "01ab",
        "task": "photos.resize",
        "queue": "push",
        "band": 7,
        "key": "cat",
    }
    known = {*message, "headers", "terms"}
    message |= {name: more.pop(name) for name in list(more) if name in known}
    fields = {"enqueued": NOW - 60, "due": NOW - 60} | more
    return JobRecord(message=Message(**message), state=state, **fields)


FAILED = job(
    State.FAILED,
    attempt=4,
    failures=3,
    started=NOW - 50,
    finished=NOW - 40,
    holder="web1-4711",
    error=Failure(type="net.TimeoutError", message="push gateway [a,b]", fingerprint="ab" * 6),
)
RETRYING = job(failures=1, attempt=1, due=NOW + 5)
SCHEDULED = job(due=NOW + 5)
RUNNING = job(State.RUNNING, attempt=1, started=NOW - 20)

RUN, INNER, OTHER = (f"01a21ccd-a5c2-761a-{each}-000000000000" for each in ("99cc", "8d2e", "9aaa"))


def node(run: str, root: str) -> JobRecord:
    """Make a record of a node of a run."""
    terms, headers = Terms(node=Place(run, "a")), {"run": root}
    return job(id=f"{run[:24]}000100000000", terms=terms, headers=headers)


NIGHTLY = job(headers={"ropeway-schedule": "tasks.nightly"})


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("", Filter()),
        ("   ", Filter()),
        ("state:failed queue:mail", Filter(state=State.FAILED, queue="mail")),
        ("STATE:failed", Filter(state=State.FAILED)),
        ('task:"a b" id:01AB', Filter(task="a b", id_prefix="01ab")),
        ("since:1h", Filter(since=NOW - 3600)),
        ("since:90 until:1h30m", Filter(since=NOW - 90, until=NOW - 5400)),
        (
            "since:2026-11-20T10:00Z",
            Filter(since=datetime(2026, 11, 20, 10, tzinfo=UTC).timestamp()),
        ),
        (f"error:{'ab' * 6}", Filter(error="ab" * 6)),
    ],
)
def test_what_a_backend_looks_for(text: str, which: Filter) -> None:
    """Nothing is left to be tested."""
    query = parse(text, NOW)
    assert query.filter == which
    assert query.tests == ()


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("state:retrying", Filter(state=State.QUEUED)),
        ("state:failed state:queued", Filter(state=State.FAILED)),
        ("-state:failed", Filter()),
        ("state:failed,queued", Filter()),
        ("queue:mail,push task:x", Filter(task="x")),
        ("task:photos.*", Filter()),
        ("schedule:nightly", Filter()),
        # Of no more than the few runs that begin in the same millisecond.
        (f"run:{RUN.upper()}", Filter(id_prefix="01a21ccd-a5c2-761a-")),
        (f"id:01a run:{RUN}", Filter(id_prefix="01a")),
        (f"-run:{RUN}", Filter()),
    ],
)
def test_what_a_backend_cannot_look_for_is_tested(text: str, which: Filter) -> None:
    """The filter lets through more, never less."""
    query = parse(text, NOW)
    assert query.filter == which
    assert query.tests


@pytest.mark.parametrize(
    ("text", "meant", "other"),
    [
        ("state:failed,running", RUNNING, SCHEDULED),
        ("-state:failed", RUNNING, FAILED),
        ("-state:failed,running", SCHEDULED, RUNNING),
        ("state:retrying", RETRYING, SCHEDULED),
        ("state:scheduled", SCHEDULED, RETRYING),
        ("-state:retrying", SCHEDULED, RETRYING),
        ("task:photos.*", FAILED, job(task="mail.photos")),
        ("task:*.resize", FAILED, job(task="photos.resized")),
        ("-task:photos.*", job(task="x"), FAILED),
        ("task:[a?*", job(task="[a?b"), job(task="ab")),
        ("queue:mail,push", FAILED, job(queue="m")),
        ("error:TimeoutError", FAILED, RUNNING),
        ("error:net.*", FAILED, job(error=Failure(type="ValueError", message=""))),
        ("-error:*", RUNNING, FAILED),
        ("worker:web1*", FAILED, RUNNING),
        ("key:cat*", FAILED, job(key="dog")),
        ("attempt:>3", FAILED, RUNNING),
        ("attempt:1", RUNNING, FAILED),
        ("failures:>=3", FAILED, RETRYING),
        ("losses:0 attempt:<=1", RUNNING, FAILED),
        ("priority:<8", FAILED, job(band=9)),
        ("ran:>15s", RUNNING, FAILED),
        ("ran:<15", FAILED, SCHEDULED),
        ("waited:>20s", RUNNING, FAILED),
        ("waited:>=0", RUNNING, SCHEDULED),
        ("gateway", FAILED, RUNNING),
        ('"[a,b]"', FAILED, RUNNING),
        ("GATEWAY resize", FAILED, RUNNING),
        ("-gateway", RUNNING, FAILED),
        ("01a", RUNNING, job(id="02ab")),
        ("-since:30s", FAILED, job(enqueued=NOW)),
        ("-id:02", FAILED, job(id="02")),
        ("schedule:tasks.nightly", NIGHTLY, FAILED),
        ("schedule:*.nightly,x", NIGHTLY, job(headers={"ropeway-schedule": "tasks.daily"})),
        ("-schedule:*", FAILED, NIGHTLY),
        (f"run:{RUN.upper()}", node(RUN, RUN), node(OTHER, OTHER)),
        (f"run:{RUN}", node(INNER, RUN), job(id=RUN, headers={"run": RUN})),
        (f"run:{INNER}", node(INNER, RUN), node(RUN, RUN)),
        (f"run:{RUN[:24]}", node(RUN, RUN), node(OTHER, OTHER)),
        (f"-run:{RUN}", FAILED, node(INNER, RUN)),
    ],
)
def test_which_jobs_are_meant(text: str, meant: JobRecord, other: JobRecord) -> None:
    """One is, and one is not."""
    query = parse(text, NOW)
    assert query.meant(meant, NOW)
    assert not query.meant(other, NOW)


@pytest.mark.parametrize(
    ("text", "fact", "marked", "hint"),
    [
        ("queue:a stat:failed", "no field 'stat'", "stat", "did you mean state?"),
        ("-stat:failed", "no field 'stat'", "stat", "did you mean state?"),
        ("zzz:1", "no field 'zzz'", "zzz", "there are: state, "),
        ("state:fialed", "no state 'fialed'", "state:fialed", "did you mean failed?"),
        ("state:failed,zz", "no state 'zz'", "state:failed,zz", "there are: queued, "),
        ("a since:soon b", "'soon' is neither", "since:soon", "5m"),
        ("attempt:many", "'many' is not a number", "attempt:many", "write 3"),
        ("attempt:>", "'>' is not a number", "attempt:>", "write 3"),
        ("ran:>-1", "'-1' is not a duration", "ran:>-1", "90s"),
        ("task:", "a value is missing", "task:", "field:value"),
        ("task:a,,b", "a value is missing", "task:a,,b", "field:value"),
        ("task:,", "a value is missing", "task:,", "field:value"),
        ("-", "a value is missing", "-", "field:value"),
        ('x "open y', "a quote is not closed", '"open y', "two words"),
    ],
)
def test_what_is_wrong_is_underlined(text: str, fact: str, marked: str, hint: str) -> None:
    """With the closest word, or those that there are."""
    with pytest.raises(BadSearch) as raised:
        parse(text, NOW)
    told, line, carets = raised.value.fact.split("\n")
    assert fact in told
    assert line == text
    assert text[len(carets) - len(carets.lstrip()) : len(carets)] == marked
    assert hint in raised.value.hint


@given(st.text(alphabet='ab:,-"* \t<>=0123é\x00', max_size=30) | st.text(max_size=20))
def test_any_text_is_a_search_or_one_error(text: str) -> None:
    """And what is a search can be put to any job."""
    try:
        query = parse(text, NOW)
    except BadSearch:
        return
    for each in (FAILED, RETRYING, SCHEDULED, RUNNING):
        query.meant(each, NOW)


@given(st.sampled_from(FIELDS), st.text(alphabet='1ab:,-"*<>= ', max_size=12))
def test_any_value_of_a_field(name: str, value: str) -> None:
    """The same for each field."""
    test_any_text_is_a_search_or_one_error.hypothesis.inner_test(f"{name}:{value}")  # type: ignore[attr-defined]
