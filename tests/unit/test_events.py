"""Telling whoever wants to know."""

from __future__ import annotations

import pytest

from ropeway.events import Event, Events, VerbDone

EVENT = VerbDone(verb="commit", items=2, seconds=0.5)


def test_all_subscribers_hear_in_order() -> None:
    """Each hears every event after it subscribed, the earlier subscriber first."""
    events, heard = Events(), list[str]()
    events.subscribe(lambda event: heard.append(f"first {event.verb}"))
    events.emit(EVENT)
    events.subscribe(lambda event: heard.append(f"second {event.verb}"))
    events.emit(EVENT)
    assert heard == ["first commit", "first commit", "second commit"]


def test_silence_is_known() -> None:
    """Nobody has to make an event that nobody hears."""
    events = Events()
    assert events.silent
    events.emit(EVENT)
    events.subscribe(lambda event: None)
    assert not events.silent


def test_a_subscriber_that_raises_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The others hear, the one who emits sees nothing, and the log names the event."""
    events, heard = Events(), list[Event]()

    def broken(event: Event) -> None:
        raise RuntimeError("no disk for metrics")

    events.subscribe(broken)
    events.subscribe(heard.append)
    events.emit(EVENT)
    assert heard == [EVENT]
    (record,) = caplog.records
    assert record.name == "ropeway"
    assert "VerbDone" in record.getMessage()
    assert record.exc_info is not None
    assert "no disk for metrics" in str(record.exc_info[1])
