"""Pictures of every page, with a busy shop behind it."""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.dashboard.running import ROOT, Served, dashboard, use, workers
from ropeway import Ropeway
from ropeway.limiting import limit_of
from ropeway.operate.operator import Operator
from ropeway.runs import listing as runs
from ropeway.stepping import step

FOLDER = ROOT / "docs" / "images" / "dashboard"
_HEIGHTS = {360: 800, 768: 1000, 1280: 900}
_LONGEST = 1600
_BUSY = 75.0


def take(folder: Path, only: str = "", *, everything: bool = False) -> None:
    """Take them; those of the documentation, or `everything`: every page in each width and theme."""
    with tempfile.TemporaryDirectory(prefix="shop-") as home:
        use(Path(home))
        from benchmarks.dashboard import traffic
        from benchmarks.dashboard.traffic import shop

        with dashboard("--environment", "production:red") as served, workers(2, "--children", "2"):
            traffic.prepare()
            by_hand(shop.app)
            shop.build_report.using(queue="exports").send("2026-10")
            for _ in traffic.send(14.0, _BUSY):
                ask(served, "/overview")  # charts begin when somebody looks
            for number in range(150):
                shop.thumbnail.send(number)
            shop.photos.publish_many(
                shop.Photo(user=each % 40, photo=each, kilobytes=each * 7 % 4000)
                for each in range(1500)
            )
            shop.build_report.using(queue="reports").send("2026-11")
            _look(served, folder, only, everything)


def by_hand(app: Ropeway) -> None:
    """Do what leaves traces: a pause, a limit, a signal."""
    store = app.connection.blocking()
    operator = Operator(store, app.settings, by="ann", via="web")
    step(operator.pause("reports", "the warehouse database is being moved"))
    step(operator.set_limit(limit_of("push-gateway", 2), "the gateway is slow today"))
    newest = step(runs.newest(store, 1))[0]
    step(operator.runs.signal(newest.id, "approved", "ann"))


def ask(served: Served, path: str) -> Any:
    """Read something from the API."""
    request = urllib.request.Request(f"{served.base}/api/v1{path}", headers=served.headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def tell(served: Served, action: str, **asked: Any) -> Any:
    """Do something by the API."""
    headers = {**served.headers, "content-type": "application/json"}
    url = f"{served.base}/api/v1/actions/{action}"
    request = urllib.request.Request(url, json.dumps(asked).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def pages(served: Served) -> dict[str, str]:
    """Return the path of each page by the name of its picture."""

    def job(q: str) -> str:
        before = ""
        while True:  # a long search is told in pieces
            found = ask(served, f"/jobs?limit=1&q={q}{before}")
            if found["jobs"]:
                return str(found["jobs"][0]["id"])
            before = f"&before={found['older']}"

    runs = {each["state"]: each["id"] for each in ask(served, "/workflows")}
    worker = quote(ask(served, "/workers")[0]["worker"])
    return {
        "overview": "/",
        "jobs": "/jobs",
        "job-failed": f"/jobs/{job('state:failed')}",
        "job-running": f"/jobs/{job('queue:exports')}",
        "job-waiting": f"/jobs/{job('state:queued+queue:reports')}",
        "job-succeeded": f"/jobs/{job('task:payments.capture')}",
        "bulk": "/bulk?verb=retry&q=state:failed",
        "edit": f"/jobs/{job('state:failed')}/edit",
        "errors": "/errors",
        "quarantine": "/quarantine",
        "queues": "/queues",
        "queue": "/queues/photos",
        "limits": "/limits",
        "routing": "/routing?exchange=events&key=order.confirmed",
        "workers": "/workers",
        "worker": f"/workers/{worker}",
        "schedules": "/schedules",
        "schedule": "/schedules/nightly-report",
        "workflows": "/workflows",
        "workflow": f"/workflows/{runs.get('running') or next(iter(runs.values()))}",
        "topics": "/topics",
        "topic": "/topics/photos.uploaded",
        "performance": "/performance",
        "audit": "/audit",
        "about": "/about",
        "confirm": "/confirm?action=queues.purge&target=photos",
        "nothing": "/nothing-here",
        "login": "/login",
    }


SHOWN = [
    *((name, 1280, False, "") for name in ("overview", "jobs", "job-failed", "job-running")),
    *((name, 1280, False, "") for name in ("job-waiting", "bulk", "errors", "queues", "queue")),
    *((name, 1280, False, "") for name in ("routing", "workers", "worker", "schedules")),
    *((name, 1280, False, "") for name in ("schedule", "workflows", "workflow", "topics", "topic")),
    *((name, 1280, False, "") for name in ("performance", "limits", "audit", "about")),
    *((name, 1280, True, "") for name in ("overview", "job-failed", "workflow", "topic")),
    *((name, 768, False, "") for name in ("queues", "overview")),
    *((name, 360, False, "") for name in ("overview", "jobs", "job-failed", "schedule")),
    *((name, 360, True, "") for name in ("queues", "workflow", "topic")),
    ("overview", 1280, False, "zh-CN"),
]
"""What the documentation shows: the page, its width, whether it is dark, and the language."""


def _look(served: Served, folder: Path, only: str, everything: bool) -> None:
    from tests.web.browser import browser

    found = pages(served)
    shown = SHOWN
    if everything:
        shown = [
            (name, width, dark, "")
            for name in found
            for width in _HEIGHTS
            for dark in (False, True)
        ]
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as window:
        window.size(1280, 900)
        window.go(served.link)
        for name, width, dark, language in shown:
            if only and name not in only.split(","):
                continue
            window.size(width, _HEIGHTS[width], dark=dark)
            window.run(f"document.cookie = 'ropeway_lang={language}; path=/'")
            window.go(served.base + found[name])
            time.sleep(0.5)  # charts are drawn
            height = window.run("document.documentElement.scrollHeight")
            window.size(width, min(max(height, _HEIGHTS[width]), _LONGEST), dark=dark)
            more = {360: "-360", 768: "-768", 1280: ""}[width]
            more += ("-dark" if dark else "") + ("-zh" if language else "")
            time.sleep(0.2)
            (folder / f"{name}{more}.webp").write_bytes(window.picture(form="webp"))
            if window.run("document.documentElement.scrollWidth > innerWidth"):
                print(f"{name} is wider than {width}")
