"""What the tests of the dashboard share: jobs in every state, and a reader of HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from ropeway import Ropeway
from ropeway.claims import Claim
from ropeway.control import WorkerRecord, announce
from ropeway.message import Failure
from ropeway.operate.operations import begin
from ropeway.pauses import pause
from ropeway.routing import Binding, Exchange
from ropeway.states import State
from ropeway.stepping import step
from ropeway.topology import declare
from ropeway.transition import Finish, Reject, Transition

HOSTILE = '<script>alert("x")</script>\u202e\'"&{{7*7}}'
"""Text that would run, turn the page round, or be a template, if it were let."""

STATES = ("queued", "scheduled", "running", "succeeded", "failed", "quarantined", "cancelled")


def filled(app: Ropeway, text: str = "plain") -> dict[str, str]:
    """Send jobs, and bring one into each state; `text` is wherever a text can be.

    Returns their ids by state.
    """

    @app.task(name=f"mail.{text}", retries=0)
    def welcome(user: str, password: str = "hunter2") -> None: ...

    store = app.connection.blocking()
    sent = {
        name: welcome.using(queue=f"{name}/{text}"[:80], headers={"x": text}).send(text).id
        for name in ("queued", "running", "succeeded", "failed", "quarantined", "cancelled")
    }
    sent["scheduled"] = welcome.using(queue="later", delay=3600).send(text).id
    error = Failure(
        type="builtins.TimeoutError", message=text, traceback=text, fingerprint="0123456789ab"
    )
    hows: dict[str, Any] = {
        "succeeded": Finish(State.SUCCEEDED, value=b'{"token": "t0ps3cret"}'),
        "failed": Finish(State.FAILED, error=error),
        "quarantined": Reject("unknown_task", text),
    }
    for name in ("running", "succeeded", "failed", "quarantined"):
        claim = Claim(queue=f"{name}/{text}"[:80], n=1)
        (delivery,) = step(store.receive([claim], f"w-{text}"[:60], 600.0))
        if name in hows:
            settle = Transition(fence=delivery.fence, settle=hows[name])
            assert step(store.commit([settle]))[0].ok
    app.job(sent["cancelled"]).cancel()
    step(pause(store, f"queued/{text}"[:80], by=text, why=text))
    step(
        declare(
            store,
            [Exchange(name="logs", type="topic")],
            [Binding(source="logs", to=text, key="*.error.#")],
        )
    )
    step(announce(store, a_worker(text, step(store.now()))))
    sent["run"] = _more(app, text)
    begun = begin(store, "retry", text, by=text, via="web", why=text, expected=9, most=9)
    sent["operation"] = step(begun).id
    return sent


def _more(app: Ropeway, text: str) -> str:
    """Make a schedule that is paused and was run by hand, a run of a workflow, and an event."""

    @app.task(name="extract")
    def extract(day: str) -> str:
        return day

    @app.task(name="load")
    def store_it(data: str) -> None: ...

    app.schedules.add("nightly", extract.call(text), cron="30 2 * * *", timezone="Europe/Berlin")
    app.schedules.run_now("nightly")
    app.schedules.pause("nightly", why=text)
    with app.workflow("etl") as wf:
        wf.add(store_it.call(wf.add(extract.call(text))))
    run = wf.send()
    app.topic("photo.liked").publish({"text": text, "token": "t0ps3cret"})
    return run.id


def a_worker(text: str, now: float) -> WorkerRecord:
    """Return the record of a worker."""
    return WorkerRecord(
        holder=f"w-{text}"[:60],
        host=text,
        pid=1,
        version="0.1.0",
        python="3.11",
        app=text,
        code="abc",
        started=now - 60,
        heard=now,
        state="consuming",
        queues=(text,),
        tasks={text: "d"},
        slots={"loop": 4},
        busy={"loop": 1},
    )


class Read(HTMLParser):
    """What is in a page: elements with their attributes, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of that kind."""
        return [attributes for name, attributes in self.elements if name == tag]
