"""What can be done on the pages: who may do it, that it is done, and that it is on record."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient

from ropeway import Ropeway
from ropeway.bulk import change
from ropeway.operate.audit import entries
from ropeway.operate.operations import begin
from ropeway.operate.roles import ACTIONS, LOOKS, ROLES, allows
from ropeway.states import State
from ropeway.stepping import step
from ropeway.web.acting import HERE
from tests.conftest import Eventually
from tests.web.conftest import Look
from tests.web.support import Read

DEEDS = [action for action in ACTIONS if action not in LOOKS]
NAMED = (
    "view+jobs.retry+queues.*-queues.purge",
    "operate-jobs.c*-jobs.retry",
    "admin-workers.*-audit.view",
)
FORMS: dict[str, dict[str, str]] = {
    "jobs.retry": {"target": "failed"},
    "jobs.cancel": {"target": "queued"},
    "jobs.run_now": {"target": "scheduled"},
    "jobs.remove": {"target": "succeeded"},
    "jobs.edit": {"target": "failed", "priority": "9"},
    "jobs.send": {"target": "extract", "arguments": '{"day": "monday"}'},
}


for verb in ("pause", "resume", "run_now"):
    FORMS[f"schedules.{verb}"] = {"target": "nightly"}
for verb in ("retry", "cancel", "pause", "resume", "signal"):
    FORMS[f"workflows.{verb}"] = {"target": "run"}


FORMS["operations.stop"] = FORMS["operations.resume"] = {"target": "operation"}
FORMS["topics.replay"] = FORMS["topics.move"] = {"target": "photo.liked/none", "place": "start"}
FORMS["topics.purge"] = {"target": "photo.liked", "typed": "photo.liked", "place": "start"}


def form(action: str, sent: dict[str, str]) -> dict[str, str]:
    """Return a form that asks for an action."""
    given = dict(FORMS.get(action, {"target": "later", "typed": "later"}))
    given["target"] = sent.get(given["target"], given["target"])
    return {"action": action, **given}


def told(client: TestClient) -> str:
    """Return what the next page says of what was done."""
    return client.get("/about").text.partition('<div id="page">')[0].rpartition("<main")[2]


@pytest.mark.parametrize("role", [*ROLES, *NAMED])
def test_roles(app: Ropeway, look: Look, sent: dict[str, str], role: str) -> None:
    """Every action as every role: it is refused by the server, not by a button that is not there."""
    client, store = look(role), app.connection.blocking()
    begun = begin(store, "run_now", "", by="kim", via="web", why="", expected=1, most=1)
    sent["operation"] = step(begun).id  # of a verb that each of these roles that may act has
    for action in DEEDS:
        before = len(step(entries(store, limit=1000)).entries)
        asked = form(action, sent) if action != "workers.stop" else {"target": "nobody"}
        answer = client.post("/act", data={**asked, "action": action, "back": "/about"})
        assert answer.status_code == 303
        said = told(client)
        assert ("you may not do" in said) is not allows(role, action), (action, said)
        done = len(step(entries(store, limit=1000)).entries) > before
        implemented = action in HERE and action != "limits.set"
        assert done is (allows(role, action) and implemented), (action, said)
        client.post("/act", data={"action": "queues.resume", "target": "later"})
    assert (client.get("/audit").status_code == 200) is allows(role, "audit.view")


def test_who_may_not_read_payloads_sees_what_they_are_made_of(app: Ropeway, look: Look) -> None:
    """On no page, by no program and in no stream; the page to edit is for who may edit and read."""

    @app.task
    def eat(fruit: str) -> str:
        return fruit

    job = eat.send("pineapple")
    app.topic("fruit").publish({"name": "pineapple"})
    without, reader = look("admin-jobs.payload"), look("view")
    for path in (
        "/jobs",
        f"/jobs/{job.id}",
        "/queues/default",
        "/topics/fruit",
        f"/api/v1/jobs/{job.id}",
        "/api/v1/topics/fruit/events",
        "/live?once=1&view=/jobs",
    ):
        assert "pineapple" not in without.get(path).text, path
        assert "pineapple" in reader.get(path).text, path
    assert without.get(f"/api/v1/jobs/{job.id}").json()["arguments"] == {"fruit": "str"}
    clients = (without, reader, look(read_only=True), look("admin"))
    answers = [client.get(f"/jobs/{job.id}/edit").status_code for client in clients]
    assert answers == [403, 403, 403, 200]


def test_read_only(app: Ropeway, look: Look, sent: dict[str, str]) -> None:
    """An admin can do nothing either, and is not shown how."""
    client = look(read_only=True)
    for action in DEEDS:
        client.post("/act", data=form(action, sent))
        assert "read-only" in told(client), action
    assert step(entries(app.connection.blocking())).entries == []
    for path in ("/jobs", f"/jobs/{sent['failed']}", "/queues", "/errors"):
        text = client.get(path).text
        assert "/act" not in text and "/bulk?" not in text and "/confirm" not in text, path


def test_what_is_done(app: Ropeway, look: Look, sent: dict[str, str]) -> None:
    """The job is as the button said, and the log says who did it."""
    client = look("admin")
    for action, state in (("jobs.retry", "queued"), ("jobs.cancel", "cancelled")):
        client.post("/act", data=form(action, sent))
        job_id = form(action, sent)["target"]
        assert app.job(job_id).status() is State(state)
    client.post("/act", data=form("jobs.run_now", sent))
    assert app.job(sent["scheduled"]).snapshot().view == "queued"
    found = step(entries(app.connection.blocking())).entries
    assert {(each.by, each.via, each.outcome) for each in found} == {("kim", "web", "done")}
    assert "jobs.retry" in client.get("/audit").text


def test_an_edit_of_what_has_changed_is_refused(
    app: Ropeway, look: Look, sent: dict[str, str]
) -> None:
    """Two people with the same form: the second is told."""
    client, job_id = look(), sent["failed"]
    page = client.get(f"/jobs/{job_id}/edit").text
    version = page.partition('name="version" value="')[2].partition('"')[0]
    asked = {"action": "jobs.edit", "target": job_id, "version": version}
    first = asked | {"arguments": '{"user": "ann", "password": "new"}'}
    client.post("/act", data=first)
    assert "it is changed" in told(client)
    assert b'"ann"' in app.job(job_id).record().message.body
    client.post("/act", data=asked | {"arguments": '{"user": "bob"}'})
    assert "has changed since" in told(client)
    client.post("/act", data=asked | {"arguments": "{"})
    assert "no JSON" in told(client)


def test_bulk(app: Ropeway, look: Look) -> None:
    """Exactly what the search finds, shown first; refused when it finds much else by then."""

    @app.task(name="t")
    def noop() -> None: ...

    jobs = app.send_many(noop.using(queue=f"q{n % 2}").call() for n in range(60))
    client = look()
    page = client.get("/bulk?verb=cancel&q=queue:q1").text
    assert "30 of 30 jobs" in page
    asked = {"action": "jobs.cancel", "bulk": "yes", "q": "queue:q1", "ids": "", "back": "/jobs"}
    client.post("/act", data=asked | {"expect": "3"})
    assert "30 jobs would be changed now, and 3 were shown" in told(client)
    client.post("/act", data=asked | {"expect": "30"})
    assert "cancel: 30 jobs" in told(client)
    states = [job.status() for job in jobs]
    assert states == [State.QUEUED, State.CANCELLED] * 30
    client.post("/act", data=asked | {"expect": "2000"})
    assert "number of jobs was not typed" in told(client)


def test_purge_wants_the_name(app: Ropeway, look: Look, sent: dict[str, str]) -> None:
    """A click alone empties no queue."""
    client = look()
    client.post("/act", data={"action": "queues.purge", "target": "later", "typed": "laterr"})
    assert "was not typed" in told(client)
    assert app.job(sent["scheduled"]).status() is State.QUEUED
    client.post("/act", data={"action": "queues.purge", "target": "later", "typed": "later"})
    assert app.job(sent["scheduled"]).status() is State.CANCELLED


def test_going_back_leads_nowhere_else(look: Look) -> None:
    """Not to another site, however it is written."""
    client = look()
    for back in ("https://evil.example", "//evil.example", "/\\evil.example", "\\/evil", "x"):
        answer = client.post("/act", data={"action": "queues.resume", "target": "a", "back": back})
        assert answer.headers["location"] == "/", back


def test_schedules_and_runs(app: Ropeway, look: Look, sent: dict[str, str]) -> None:
    """Are steered like everything else."""
    client, store = look("operate"), app.connection.blocking()

    def do(action: str, target: str) -> str:
        client.post("/act", data={"action": action, "target": target, "why": "because"})
        return told(client)

    assert "nightly: resume" in do("schedules.resume", "nightly")
    assert app.schedules.get("nightly").state == "active"
    assert "nightly: pause" in do("schedules.pause", "nightly")
    assert app.schedules.get("nightly").why == "because"
    before = len(app.schedules.history("nightly"))
    do("schedules.run_now", "nightly")
    assert len(app.schedules.history("nightly")) == before + 1
    assert "RW" not in do("workflows.pause", sent["run"])
    assert app.run(sent["run"]).status() == "paused"
    do("workflows.cancel", sent["run"])
    assert app.run(sent["run"]).status() == "cancelled"
    assert "had ended before" in do("workflows.cancel", sent["run"])
    actions = [entry.action for entry in step(entries(store)).entries]
    assert actions.count("workflows.cancel") == 2
    assert "there is no schedule" in do("schedules.pause", "nothing")


def test_events_are_counted_before_they_are_moved(app: Ropeway, look: Look) -> None:
    """The page tells how many, changes nothing by that, and the form then does just this."""
    liked = app.topic("photo.liked", int)
    liked.subscribe("notify")(_notify)
    app.topics.declare()
    liked.publish_many(range(1, 11))
    client, task = look("admin"), "photo.liked/notify"

    def lag() -> int:
        return sum(each.lag for each in liked.subscriptions() if not each.replay)

    def act(verb: str, target: str, place: str, **more: str) -> str:
        asked = {"verb": verb, "target": target, "place": place, **more}
        before = lag()
        page = client.get("/move", params=asked)
        assert page.status_code == 200 and lag() == before
        action = page.text.partition('name="action" value="')[2].partition('"')[0]
        if action:
            client.post("/act", data={**asked, "action": action, "typed": target, "back": "/about"})
        return page.text.partition('<p class="large">')[2].partition("<")[0]

    links = {str(a["href"]) for a in Read(client.get("/topics/photo.liked").text).all("a")}
    assert {link.partition("verb=")[2].partition("&")[0] for link in links if "/move" in link} == {
        "replay",
        "rewind",
        "skip",
        "purge",
    }
    assert (act("skip", task, "8"), lag()) == ("Events: 7", 3)
    assert (act("rewind", task, "3"), lag()) == ("Events: 5", 8)
    assert (act("skip", task, "2"), lag()) == ("Events: 0", 8)
    assert (act("replay", task, "2", until="4"), lag()) == ("Events: 2", 8)
    assert len([each for each in liked.subscriptions() if each.replay]) == 1
    assert (act("purge", "photo.liked", "5"), liked.info().events) == ("Events: 1", 9)
    assert (act("purge", "photo.liked", "5", unread="yes"), liked.info().events) == ("Events: 3", 6)
    for place in ("then", "2030-99-01"):
        page = client.get("/move", params={"verb": "skip", "target": task, "place": place})
        assert page.status_code == 400 and "is no place" in page.text
    client.post("/act", data={"action": "topics.purge", "target": "photo.liked", "place": "now"})
    assert "was not typed" in told(client)
    client = look("operate")
    refused = {"verb": "skip", "target": task, "place": "now"}
    assert "You may not do this" in client.get("/move", params=refused).text
    path = "/api/v1/actions/topics."
    tried = client.post(path + "replay", json={"target": task, "place": "start", "dry_run": True})
    assert tried.json()["events"] == 6
    assert client.post(path + "move", json={"target": task, "place": "now"}).status_code == 403
    done = [each.action for each in step(entries(app.connection.blocking())).entries]
    assert sorted(done) == ["topics.move"] * 2 + ["topics.purge"] * 2 + ["topics.replay"]


def _notify(number: int) -> None: ...


def test_what_cannot_be_tried_out_is_not_done(
    app: Ropeway, look: Look, sent: dict[str, str]
) -> None:
    """A dry run of what has none is refused, and does nothing."""
    asked = {"target": "later", "dry_run": True}
    answer = look().post("/api/v1/actions/queues.purge", json=asked)
    assert answer.status_code == 400 and "cannot be tried out" in answer.json()["title"]
    assert app.job(sent["scheduled"]).status() is State.QUEUED


def test_a_change_of_many_jobs_goes_on_by_itself(
    app: Ropeway, look: Look, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """Without the page that began it; it is seen, stopped and resumed from pages and by programs."""
    monkeypatch.setattr("ropeway.web.running.PATIENCE", 0.0)
    monkeypatch.setattr("ropeway.operate.operations.STEP", 5)
    held, calls = asyncio.Event(), 0

    async def slow(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            await held.wait()
        return await change(*args, **kwargs)

    monkeypatch.setattr("ropeway.operate.operations.change", slow)

    @app.task(name="t")
    def noop() -> None: ...

    jobs = app.send_many(noop.call() for _ in range(40))
    client, viewer = look(), look("view")
    asked = {"action": "jobs.cancel", "bulk": "yes", "q": "task:t", "expect": "40", "why": "storm"}
    location = client.post("/act", data=asked).headers["location"]
    assert location.startswith("/operations/")
    name = location.rpartition("/")[2]
    api = "/api/v1/operations"
    eventually(lambda: viewer.get(f"{api}/{name}").json()["done"] == 10)
    page = viewer.get(location).text
    assert "10 of 40 jobs" in page and 'max="40"' in page and "storm" in page
    assert "operations.stop" not in page
    assert location in viewer.get("/operations").text
    assert (
        "may not do" in viewer.post("/api/v1/actions/operations.stop", json={"target": name}).text
    )
    assert 'value="operations.stop"' in client.get(location).text
    stopping = {"action": "operations.stop", "target": name, "back": location}
    assert client.post("/act", data=stopping).headers["location"] == location
    assert client.portal is not None
    client.portal.call(held.set)
    eventually(lambda: viewer.get(f"{api}/{name}").json()["state"] == "stopped")
    assert viewer.get(f"{api}/{name}").json()["stopped_by"] == "kim"
    assert [job.status() for job in jobs].count(State.CANCELLED) == 15
    resume = {"target": name}
    part = look("view+operations.*").post("/api/v1/actions/operations.resume", json=resume)
    assert part.status_code == 403 and "jobs.cancel" in part.text
    assert client.post("/api/v1/actions/operations.resume", json=resume).status_code == 200
    eventually(lambda: viewer.get(f"{api}/{name}").json()["state"] == "done")
    assert viewer.get(api).json()[0]["done"] == 40
    assert client.post("/api/v1/actions/operations.resume", json=resume).status_code == 409
    told = [each.told for each in step(entries(app.connection.blocking())).entries]
    assert "15 of 15; stopped by kim" in told and "40 of 40" in told


def test_a_job_is_sent_by_hand(app: Ropeway, look: Look) -> None:
    """From a form with what its task takes; what does not fit is refused, and on record."""

    @app.task(name="mail.send")
    def mail(to: str, copies: int = 1) -> None:
        """Send a letter."""

    client = look()
    assert 'href="/send?task=mail.send"' in client.get("/send").text
    page = client.get("/send?task=mail.send").text
    assert "Send a letter." in page and "copies: int = 1" in page
    assert "&#34;to&#34;: null" in page and "&#34;copies&#34;: 1" in page
    asked = {"action": "jobs.send", "target": "mail.send", "arguments": '{"to": "ann"}'}
    more = {"queue": "slow", "priority": "7", "delay": "60", "why": "a test"}
    location = client.post("/act", data=asked | more).headers["location"]
    record = app.job(location.removeprefix("/jobs/")).record()
    assert (record.message.queue, record.message.band) == ("slow", 7)
    assert record.message.body == b'{"to":"ann"}' and record.due > record.enqueued + 50
    client.post("/act", data=asked | {"arguments": '{"to": 5}'})
    said = told(client)
    assert "note bad" in said and "mail.send" in said and "str" in said, said
    sent = client.post("/api/v1/actions/jobs.send", json={"target": "none"})
    assert sent.status_code == 400 and "no task is called" in sent.text
    assert look("operate").get("/send").status_code == 403
    (refused, done) = step(entries(app.connection.blocking())).entries
    assert (done.told, done.why, refused.outcome) == (record.message.id, "a test", "refused")
