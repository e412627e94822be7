"""The dashboard in a real browser: what scripts add, and that nothing else runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ropeway import Ropeway
from tests.docs import pages
from tests.web.browser import PROGRAM, Browser, browser
from tests.web.support import HOSTILE, filled

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.timeout(300),
]

AXE = Path(__file__).parents[2] / ".cache" / "axe" / "axe_playwright_python" / "axe.min.js"
ROWS = "document.querySelectorAll('tbody tr').length"
UPLOAD = """
window.seen = [];
new MutationObserver(() => seen.push(document.querySelector("progress").value))
    .observe(document.body, { attributes: true, subtree: true, attributeFilter: ["value"] });
const given = new DataTransfer(), input = document.querySelector("input");
given.items.add(new File(["page\\f".repeat(20)], "book.txt"));
input.files = given.files;
input.dispatchEvent(new Event("change"));
"""
VIEW = "encodeURIComponent('/jobs?q=task:new.one')"
PAGES = (
    "",
    "jobs",
    "errors",
    "quarantine",
    "queues",
    "routing?exchange=logs&key=a.error.b",
    "workers",
    "schedules",
    "workflows",
    "topics",
    "limits",
    "performance",
    "audit",
    "about",
)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Ropeway, dict[str, str], str]]:
    """Serve a dashboard over hostile data; yield the app, the ids of its jobs, and the link."""
    folder = tmp_path_factory.mktemp("dash")
    app = Ropeway(f"sqlite:///{folder}/jobs.db")
    sent = filled(app, HOSTILE)
    with serving(folder) as link:
        yield app, sent, link


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a dashboard over the jobs in a folder; yield the link."""
    command = [sys.executable, "-m", "ropeway", "dashboard", "--port", "0"]
    more = {**os.environ, "ROPEWAY_URL": f"sqlite:///{folder}/jobs.db"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=more
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser for all tests of this file."""
    with browser() as opened:
        yield opened


def test_every_page_in_both_themes(chromium: Browser, served: Any) -> None:
    """Nothing is refused by the policy, nothing runs that was in the data, nothing is too wide."""
    _, sent, link = served
    single = ["schedules/nightly", "topics/photo.liked", f"workflows/{sent['run']}"]
    paths = [*PAGES, f"jobs/{sent['failed']}", *single]
    looked_at(chromium, link, paths, ((False, 1280), (True, 360)))


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: sh tools/get_axe.sh")
@pytest.mark.parametrize("data", ["empty", "plain"])
def test_every_page_of_other_data(chromium: Browser, tmp_path: Path, data: str) -> None:
    """Also where nothing is, and where all is as usual; AXE=all looks at each in both themes."""
    app = Ropeway(f"sqlite:///{tmp_path}/jobs.db")
    sent = filled(app) if data == "plain" else {}
    looks = [(False, 768), (True, 1280)] if data == "plain" else [(True, 360), (False, 1280)]
    looks = looks if os.environ.get("AXE") == "all" else looks[:1]
    with serving(tmp_path) as link:
        looked_at(chromium, link, [*PAGES, *of(sent)], looks)


def of(sent: dict[str, str]) -> list[str]:
    """Return the pages of single things."""
    if not sent:
        return ["jobs/nothing", "nothing"]
    return [
        *(f"jobs/{sent[state]}" for state in ("failed", "running", "scheduled")),
        f"jobs/{sent['failed']}/edit",
        f"workflows/{sent['run']}",
        "schedules/nightly",
        "topics/photo.liked",
        "bulk?verb=retry&q=state:failed",
        "confirm?action=queues.purge&target=later",
        "queues/later",
    ]


def looked_at(
    chromium: Browser, link: str, paths: Sequence[str], looks: Sequence[tuple[bool, int]]
) -> None:
    """Open pages, dark or light, in some width, and assert that nothing is wrong with any of them."""
    base = link.partition("?")[0]
    chromium.size(1280, 900)
    chromium.go(link)
    chromium.complaints.clear()
    for dark, width in looks:
        chromium.size(width, 900, dark=dark)
        for path in paths:
            chromium.go(base + path)
            assert chromium.run("document.documentElement.scrollWidth <= innerWidth"), path
            if AXE.exists():
                assert violations(chromium) == [], (path, dark, width)
    missing = ("/jobs/nothing", "/nothing")  # the browser tells of every 404
    assert [each for each in chromium.complaints if not each.endswith(missing)] == []


def violations(chromium: Browser) -> list[Any]:
    """Return what axe-core has against the page: WCAG 2.2 AA, and good practice."""
    tags = "['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']"
    chromium.run(f"{AXE.read_text()};1")
    found: list[Any] = chromium.run(
        f"axe.run(document, {{runOnly: {tags}, resultTypes: ['violations']}}).then(r =>"
        " r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
    )
    return found


def test_live_and_what_is_typed(chromium: Browser, served: Any) -> None:
    """A job that is sent appears by itself, but not while somebody types or has ticked something."""
    app: Ropeway = served[0]
    link: str = served[2]
    base = link.partition("?")[0]

    @app.task(name="new.one")
    def new_one() -> None: ...

    chromium.size(1280, 900)
    chromium.go(link)
    chromium.go(f"{base}jobs?q=task:new.one")
    chromium.until("!!document.querySelector('.empty')")
    new_one.send()
    chromium.until("document.querySelectorAll('tbody tr').length === 1")
    chromium.run("document.querySelector('td input[name=ids]').click()")
    new_one.send()
    chromium.run(
        f"window.told = 0; new EventSource('{base}live?view=' + {VIEW}).addEventListener("
        "'page', e => { window.told += e.data.includes('new.one') })"
    )
    chromium.until("window.told > 1")
    assert chromium.run(ROWS) == 1
    chromium.run("document.getElementById('q').focus(); document.getElementById('q').value = 'abc'")
    chromium.run("document.querySelector('td input[name=ids]').click()")
    chromium.run("window.told = 0")
    chromium.until("window.told > 0")
    assert chromium.run(ROWS) == 1
    chromium.run("document.activeElement.blur()")
    chromium.until(f"{ROWS} === 2")
    assert chromium.run("document.getElementById('q').value") == "abc"


def test_with_the_keyboard_alone(chromium: Browser, served: Any) -> None:
    """From the overview to a job, and it is run again."""
    app, sent, link = served
    chromium.size(1280, 900)
    chromium.go(link)
    for key in "gj":
        chromium.press(key)
    chromium.until("location.pathname === '/jobs' && document.readyState === 'complete'")
    chromium.press("/")
    chromium.until("document.activeElement.id === 'q'")
    chromium.ask("Input.insertText", text=f"id:{sent['failed']}")
    chromium.run("document.activeElement.form.submit()")
    chromium.until(f"{ROWS} === 1 && document.readyState === 'complete'")
    chromium.press("j")
    chromium.until("document.activeElement.matches('a.open')")
    chromium.run("document.activeElement.click()")
    chromium.until(f"location.pathname === '/jobs/{sent['failed']}'")
    chromium.until("!!document.querySelector('.actions button.primary')")
    chromium.run("document.querySelector('.actions button.primary').click()")
    chromium.until("!!document.querySelector('.note')")
    assert app.job(sent["failed"]).status() == "queued"


def test_without_scripts(chromium: Browser, served: Any) -> None:
    """Pages are whole, and an action is a form."""
    _, sent, link = served
    base = link.partition("?")[0]
    chromium.size(1280, 900)
    chromium.go(link)
    chromium.size(1280, 900, script=False)
    try:
        for path in PAGES:
            chromium.go(base + path)
            assert chromium.run("document.querySelector('h1').textContent"), path
        chromium.go(f"{base}jobs/{sent['cancelled']}")
        assert chromium.run("document.documentElement.className") == ""
        retry = chromium.run(
            "document.querySelector('.actions button.primary').form.getAttribute('action')"
        )
        assert retry == "/act"
    finally:
        chromium.size(1280, 900, script=True)


def test_the_upload_of_the_how_to_page(chromium: Browser, tmp_path: Path) -> None:
    """The bar goes on from the upload to the job, and the page says how it ended."""
    for block in pages.blocks(pages.page("docs/howto/show-progress.md")):
        if block.verb == "file":
            (tmp_path / block.value).write_text(block.text, encoding="utf-8")
    serve = [sys.executable, "-m", "uvicorn", "shop:web", "--port", "0"]
    work = [sys.executable, "-m", "ropeway", "worker", "tasks:app", "--children", "1"]
    quiet: dict[str, Any] = {"cwd": tmp_path, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(serve, **quiet) as shop, subprocess.Popen(work, **quiet) as worker:
        try:
            assert shop.stderr is not None
            said = next(line for line in shop.stderr if "running on" in line)
            link = said.partition("running on ")[2].split()[0]
            chromium.size(1280, 900)
            chromium.go(link)
            chromium.run(UPLOAD)
            chromium.until("document.querySelector('output').value === 'succeeded'")
            assert chromium.run("document.querySelector('progress').value") == 1
            assert chromium.run("seen.some(each => each > 0.5 && each < 1)")
        finally:
            worker.terminate()
            shop.terminate()
            worker.communicate()
            shop.communicate()
