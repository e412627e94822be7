"""What programs are told and can do, and what is in the package of others'."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from starlette.testclient import TestClient

import ropeway.web
from ropeway import Ropeway
from ropeway.operate.redact import HIDDEN
from ropeway.states import State
from ropeway.web import Dashboard, Grant
from ropeway.web.api import ENDPOINTS
from ropeway.web.doors import PAGES
from tests.servers.valkey import Valkey
from tests.web.conftest import Look
from tests.web.support import HOSTILE, filled

NAMED = {"schedules": "nightly", "topics": "photo.liked"}
VENDOR = Path(ropeway.web.__file__).parent / "static" / "vendor"


def test_the_description_is_of_what_there_is(look: Look, sent: dict[str, str]) -> None:
    """Every path of it is answered, and every path that is answered is in it."""
    client = look(prefix="/x")
    found = client.get("/x/api/v1/openapi.json").json()
    assert found["openapi"] == "3.1.0" and found["servers"] == [{"url": "/x/api/v1"}]
    assert set(found["paths"]) == {each.path for each in ENDPOINTS} | {"/actions/{action}"}
    for path in found["paths"]:
        if path != "/actions/{action}":
            kind = path.split("/")[1]
            job = sent[{"workflows": "run", "operations": "operation"}.get(kind, "failed")]
            given = path.replace("{id}", job).replace("{name}", NAMED.get(kind, "later"))
            asked = {"exchange": "logs"} if path == "/route" else None
            answer = client.get(f"/x/api/v1{given}", params=asked)
            assert answer.status_code == 200, (path, answer.text)
    refs = set(json.dumps(found).split('"#/components/schemas/')[1:])
    assert {each.partition('"')[0] for each in refs} <= set(found["components"]["schemas"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs?q=stat:x", 400),
        ("/jobs?limit=0", 400),
        ("/jobs?limit=x", 400),
        ("/jobs/nothing", 404),
        ("/jobs/01a21cd7-69da-7c26-91d4-e3b7d57b7c56", 404),
        ("/jobs?lim=5", 400),
        ("/errors?state=queued", 400),
        ("/errors?state=", 400),
        ("/route?exchange=none", 400),
        ("/schedules/none", 404),
        ("/workflows?limit=0", 400),
        ("/workflows?state=fine", 400),
        ("/workflows/none", 404),
        ("/topics/none", 404),
        ("/topics/none/events", 404),
        ("/jobs/", 404),
        ("/jobs/a%0Ab", 404),
        ("/jobs/%00", 400),
        ("/nothing/%00", 400),
        ("/jobs?before=%00", 400),
        ("/actions/jobs.retry", 405),
        ("/nothing", 404),
    ],
)
def test_problems(look: Look, path: str, status: int) -> None:
    """Each is told with a code, in the same shape."""
    answer = look().get(f"/api/v1{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status and answer.json()["code"]
    assert answer.json()["title"] and answer.json()["detail"]


def test_schedules_runs_and_topics(look: Look, sent: dict[str, str]) -> None:
    """What the commands print of them, and what the pages show."""
    client = look("view")

    def told(path: str) -> Any:
        return client.get(f"/api/v1{path}").json()

    (listed,) = told("/schedules")
    nightly = told("/schedules/nightly")
    assert listed.items() <= nightly.items()
    assert (nightly["state"], nightly["paused_by"], nightly["why"]) == ("paused", ANY, HOSTILE)
    assert nightly["says"] and len(nightly["coming"]) == 20
    assert [each["decision"] for each in nightly["history"]] == ["by_hand"]
    (run,) = told("/workflows?name=etl&state=running")
    assert run["id"] == sent["run"] and run["nodes"] == 2
    assert told("/workflows?state=failed") == told("/workflows?name=other") == []
    whole = told(f"/workflows/{sent['run'][:30]}")
    assert [node["task"] for node in whole["nodes"]] == ["extract", "load"]
    assert whole["nodes"][1]["after"] == [whole["nodes"][0]["name"]]
    (topic,) = told("/topics")
    one = told("/topics/photo.liked")
    assert topic.items() <= one.items() and (one["events"], one["standing"]) == (1, [])
    (event,) = told("/topics/photo.liked/events")
    assert event["data"] == {"text": HOSTILE, "token": HIDDEN}
    assert told("/topics/photo.liked/events?key=none") == []


def test_actions(app: Ropeway, look: Look, sent: dict[str, str]) -> None:
    """Named jobs, or what a search finds after a dry run; who may not is told so."""
    client, path = look("operate"), "/api/v1/actions/"
    dry = client.post(f"{path}jobs.retry", json={"q": "state:failed", "dry_run": True}).json()
    assert (dry["done"], dry["dry_run"], dry["sample"]) == (1, True, [sent["failed"]])
    assert client.post(f"{path}jobs.retry", json={"q": "state:failed"}).status_code == 400
    done = client.post(f"{path}jobs.retry", json={"q": "state:failed", "expect": 1}).json()
    assert done["done"] == 1 and app.job(sent["failed"]).status() is State.QUEUED
    both = client.post(f"{path}jobs.cancel", json={"q": "", "ids": ["x"]})
    assert both.status_code == 400
    for action, status in (("jobs.remove", 403), ("jobs.fly", 400), ("workers.quiet", 404)):
        answer = client.post(f"{path}{action}", json={"target": "nobody"})
        assert answer.status_code == status, action
    assert client.post(f"{path}jobs.retry", json={"what": 1}).status_code == 400
    assert client.post(f"{path}jobs.retry", content=b"{}").status_code == 400
    nul = client.post(f"{path}jobs.retry", json={"ids": ["\x00"]})
    assert nul.status_code == 400 and "NUL" in nul.json()["title"]
    admin = look("admin")
    assert (
        admin.post(f"{path}limits.set", json={"target": "api", "limit": "5/s"}).status_code == 200
    )
    assert [each["limit"] for each in admin.get("/api/v1/limits").json()] == ["api"]


def test_figures(look: Look, sent: dict[str, str]) -> None:
    """As Prometheus reads them, with names that cannot break the format."""
    text = look().get("/metrics").text
    assert "ropeway_workers 1\n" in text
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ", "ropeway_")), line


def test_a_store_that_is_away(look: Look, app: Ropeway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is alive and not ready; pages say what is wrong."""
    from ropeway.errors import BackendUnavailable

    async def away(*_: Any) -> Any:
        raise BackendUnavailable("the database is away", hint="start it")

    client = look()
    monkeypatch.setattr("ropeway.wrappers.observed.Observed.now", away)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    page = client.get("/jobs")
    assert page.status_code == 503 and "the database is away" in page.text


def test_what_is_of_others() -> None:
    """Every file has its name, version, licence and digest; and no other file is there."""
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    for each in manifest:
        data = (VENDOR / each["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == each["sha256"], each["file"]
        assert each["version"] and each["licence"] and (VENDOR / each["licence_file"]).is_file()
    named = {each["file"] for each in manifest} | {each["licence_file"] for each in manifest}
    assert {each.name for each in VENDOR.iterdir()} == named | {"manifest.json"}


def test_the_base_needs_none_of_it() -> None:
    """Neither the library nor the help of the commands imports what the extra brings."""
    code = (
        "import sys, ropeway, ropeway.app\n"
        "from click.testing import CliRunner\n"
        "from ropeway.cli import main\n"
        "assert CliRunner().invoke(main, ['dashboard', '--help']).exit_code == 0\n"
        "assert not {'starlette', 'jinja2', 'uvicorn', 'a2wsgi'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_hostile_names_are_whole_in_json(look: Look, sent: dict[str, str]) -> None:
    """A program gets what was sent, byte for byte."""
    found = look().get(f"/api/v1/jobs/{sent['failed']}").json()
    assert found["arguments"]["user"] == HOSTILE


@pytest.mark.parametrize("server", ["memory", "postgres_url", "valkey"])
def test_every_backend(server: str, request: pytest.FixtureRequest) -> None:
    """Every page and every answer, wherever the jobs are."""
    there = None if server == "memory" else request.getfixturevalue(server)
    url = f"{there.url}?namespace=web" if isinstance(there, Valkey) else there or "memory://"
    app = Ropeway(url)
    sent = filled(app, "plain")
    dashboard = Dashboard(app, access=lambda request: Grant("kim", "admin"))
    with TestClient(dashboard, base_url="http://localhost") as client:
        paths = [path for path in PAGES if "{" not in path and path != "/bulk"]
        paths += [f"/jobs/{sent['failed']}", f"/workflows/{sent['run']}", "/schedules/nightly"]
        paths += [f"/api/v1{each.path}" for each in ENDPOINTS if "{" not in each.path]
        for path in (*paths, "/metrics", "/readyz"):
            asked = {"exchange": "logs"} if path.endswith(("/route", "/routing")) else None
            status = client.get(path, params=asked).status_code
            assert status == 200, path
        for q, number in {
            "schedule:nightly": 1,
            "schedule:night": 0,
            f"run:{sent['run']}": 1,
        }.items():
            found = client.get("/api/v1/jobs", params={"q": q}).json()
            assert [each["task"] for each in found["jobs"]] == ["extract"] * number, q
        wanted: dict[str, Any] = {"q": "state:failed", "expect": 1}
        done = client.post("/api/v1/actions/jobs.retry", json=wanted).json()
        assert done["done"] == 1, done
