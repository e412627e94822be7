"""The pages: whole without scripts, harmless whatever is in them, under any prefix."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from pathlib import Path
from typing import cast, get_args
from urllib.parse import quote

import pytest

import ropeway.web
from ropeway import Ropeway
from ropeway.control import Doing
from ropeway.operate.roles import ROLES
from ropeway.runs.handle import NodeState
from ropeway.store import Backend, Count, Filter
from ropeway.web.catalogue import catalogue, preferred
from ropeway.web.counts import Counts
from ropeway.web.doors import PAGES, WARNINGS
from ropeway.web.headers import POLICY
from ropeway.web.rendering import NAVIGATION, SIGNS
from ropeway.web.views.topics import WORDS
from ropeway.wrappers.observed import Observed
from tests.conftest import Eventually
from tests.web.conftest import Look
from tests.web.support import HOSTILE, Read

PACKAGE = Path(ropeway.web.__file__).parent
TEMPLATES = sorted((PACKAGE / "templates").glob("*.html"))


NAMED = {"/schedules/{name:path}": "nightly", "/topics/{name:path}": "photo.liked"}


def paths(sent: dict[str, str]) -> list[str]:
    """Return the path of every page, and of some with a query."""
    found = []
    for path in PAGES:
        if "{id}" in path:
            of_jobs = [each for name, each in sent.items() if name not in {"run", "operation"}]
            kind = "run" if path.startswith("/workflows") else "operation"
            ids = of_jobs if path.startswith("/jobs") else [sent[kind]]
            found += [path.replace("{id}", each) for each in ids]
        elif path in NAMED:
            found.append(path.replace("{name:path}", NAMED[path]))
        elif "{name" in path:
            what = "queued/" if "queues" in path else "w-"
            name = (what + HOSTILE)[: 80 if what == "queued/" else 60]
            found.append(path.replace("{name:path}", quote(name, safe="")))
    found += [path for path in PAGES if "{" not in path and path != "/bulk"]
    found += ["/bulk?verb=retry&q=", "/confirm?action=queues.purge&target=" + quote(HOSTILE)]
    found += [f"/move?verb={verb}&target={quote(HOSTILE)}&place=start" for verb in WORDS][3:]
    found += [f"/move?verb={verb}&target={quote(HOSTILE)}" for verb in WORDS]
    found += ["/jobs?q=" + quote(HOSTILE), "/routing?exchange=logs&key=a.error.b"]
    return found


@pytest.mark.parametrize("prefix", ["", "/a", "/a/b"])
def test_every_page(look: Look, sent: dict[str, str], prefix: str) -> None:
    """Each is an answer; its links stay below the prefix; nothing in it can run."""
    client = look(prefix=prefix)
    for path in paths(sent):
        answer = client.get(prefix + path)
        assert answer.status_code in {200, 400, 409}, (path, answer.status_code, answer.text[-800:])
        assert answer.headers["content-security-policy"] == POLICY
        page = Read(answer.text)
        assert "\u202e" not in answer.text, path
        assert [tag for tag, _ in page.elements].count("h1") == 1, path
        for script in page.all("script"):
            assert (script["src"] or "").startswith(f"{prefix}/static/"), path
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            for name in ("href", "action"):
                link = attributes.get(name)
                inside = link is None or link.startswith((f"{prefix}/", "#"))
                assert inside, (path, tag, link)


def test_jobs_of_a_schedule_and_of_a_run(look: Look, sent: dict[str, str]) -> None:
    """Their pages link to the searches that find them, and nothing else."""
    client = look()
    for path, query in {
        "/schedules/nightly": "schedule:nightly",
        f"/workflows/{sent['run']}": f"run:{sent['run']}",
    }.items():
        link = f"/jobs?q={quote(query)}"
        assert link in {a["href"] for a in Read(client.get(path).text).all("a")}
        rows = [a for a in Read(client.get(link).text).all("a") if a.get("class") == "open"]
        assert len(rows) == 1, path
        of_run = (rows[0]["href"] or "").startswith(f"/jobs/{sent['run'][:24]}")
        assert of_run is path.startswith("/workflows")


def test_links_lead_somewhere(look: Look, sent: dict[str, str]) -> None:
    """Every link of every page is answered with a page."""
    client = look()
    links = set[str]()
    for path in paths(sent):
        links |= {str(a["href"]) for a in Read(client.get(path).text).all("a")}
    for link in sorted(links):
        if not link.startswith("#"):
            assert client.get(link).status_code in {200, 400}, link


def test_every_control_has_a_name(look: Look, sent: dict[str, str]) -> None:
    """A label, or a name for those who do not see it."""
    client = look()
    for path in paths(sent):
        page = Read(client.get(path).text)
        labelled = {label.get("for") for label in page.all("label")}
        for tag in ("input", "select", "textarea"):
            for control in page.all(tag):
                named = control.get("id") in labelled or control.get("aria-label")
                hidden = control.get("type") in {"hidden", "checkbox"} and not named
                assert named or hidden, (path, control)
        ids = [str(attributes["id"]) for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), (path, sorted(ids))


def test_an_empty_database(look: Look) -> None:
    """There is a page for nothing, too."""
    client = look()
    for path in PAGES:
        if "{" not in path and path != "/bulk":
            assert client.get(path).status_code == 200, path


def test_secrets_are_not_shown(look: Look, sent: dict[str, str]) -> None:
    """Neither in arguments nor in results, nor in what programs are told."""
    client = look()
    for path in ("/jobs/", "/api/v1/jobs/"):
        for state, job_id in sent.items():
            if state == "run":
                continue
            text = client.get(path + job_id).text
            assert "hunter2" not in text and "t0ps3cret" not in text, (path, state)
    assert "hunter2" not in client.get("/jobs").text
    assert "t0ps3cret" not in client.get("/topics/photo.liked").text


def test_the_list_goes_by_pages(app: Ropeway, look: Look) -> None:
    """Each job is on one page, also when others are sent meanwhile."""

    @app.task
    def noop() -> None: ...

    ids = [job.id for job in app.send_many(noop.call() for _ in range(60))]
    client, seen = look(), list[str]()
    path: str | None = "/jobs?limit=25"
    while path is not None:
        page = Read(client.get(path).text)
        seen += [str(box["value"]) for box in page.all("input") if box.get("name") == "ids"]
        path = next((str(a["href"]) for a in page.all("a") if a.get("id") == "older"), None)
        noop.send()
    assert seen == ids[::-1]


def test_a_search_with_a_fault_says_where(look: Look) -> None:
    """The page has what was written, and the place."""
    answer = look().get("/jobs?q=stat:failed")
    assert answer.status_code == 400
    assert "did you mean state?" in answer.text and 'value="stat:failed"' in answer.text


def test_why_is_told(look: Look, sent: dict[str, str]) -> None:
    """In a sentence, on the page of the job."""
    assert "is paused by" in look().get(f"/jobs/{sent['queued']}").text


def test_templates_hold_to_the_policy() -> None:
    """Nothing in them that the browser is told to refuse, and every text is in the catalogue."""
    words = json.loads((PACKAGE / "words" / "zh-CN.json").read_text(encoding="utf-8"))
    sources = [each.read_text(encoding="utf-8") for each in TEMPLATES]
    wanted = {
        m[1] or m[2]
        for text in sources
        for m in re.finditer(r"""\bt\((?:"([^"]*)"|'([^']*)')""", text)
    }
    wanted |= {name for _, name in NAVIGATION} | {*SIGNS} | {*WARNINGS.values()} | {*ROLES}
    wanted |= {*WORDS, *WORDS.values()}
    wanted |= {*get_args(Doing), *get_args(NodeState)}
    for text in sources:
        assert not re.search(r"\bstyle=|\bon[a-z]+=|javascript:|\|\s*safe\b", text)
    assert sorted(wanted - words.keys()) == []
    for key, value in words.items():
        assert set(re.findall(r"\{\w+\}", key)) == set(re.findall(r"\{\w+\}", value)), key


def test_languages(look: Look) -> None:
    """As the browser asks, or as somebody has chosen."""
    assert [preferred(each) for each in ("zh-Hans,en;q=0.5", "de, en-GB", "")] == [
        "zh-CN",
        "en",
        "en",
    ]
    client = look()
    assert "概览" in client.get("/", headers={"accept-language": "zh-CN"}).text
    client.post("/prefs", data={"lang": "zh-CN", "theme": "dark", "back": "/jobs"})
    page = client.get("/")
    assert 'lang="zh-CN" data-theme="dark"' in page.text
    assert catalogue("xx")("Jobs") == "Jobs"


def test_counts_are_of_what_is_searched_for(
    look: Look, sent: dict[str, str], monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """Each tab has its number; beside a further term only the one that is shown; none is asked twice."""
    client = look()
    asked = list[str]()
    count = Observed.count

    async def counted(self: Observed, which: Filter, cap: int) -> Count:
        asked.append(repr(which))
        return await count(self, which, cap)

    monkeypatch.setattr(Observed, "count", counted)

    def counts(search: str) -> list[str]:
        tabs = client.get("/jobs", params={"q": search}).text.partition('class="tabs"')[2]
        return re.findall(r'class="pill">([^<]+)<', tabs.partition("</nav>")[0])

    def shown(search: str) -> bool:
        return counts(search) == ["1"]

    of_all = len([name for name in sent if name != "run"])
    eventually(lambda: sum(map(int, counts(""))) >= of_all)
    for search in ("queue:later", "state:queued queue:later"):
        eventually(partial(shown, search))
    assert counts("state:failed queue:later") == counts("state:failed ran:>1h") == []
    before = len(asked)
    for search in ("", "state:failed", "queue:later"):
        counts(search)
    assert len(asked) == before


async def test_counts_do_not_hold_up_a_page() -> None:
    """Who looks while it is counted is told what is known; the next one knows more."""
    go = asyncio.Event()

    class Slow:
        async def count(self, which: Filter, cap: int) -> Count:
            await go.wait()
            return Count(number=cap, whole=False)

    counts = Counts(lambda: cast("Backend", Slow()))
    assert await counts.of("", [Filter(), Filter()]) == [None, None]
    go.set()
    assert await counts.of("", [Filter(), Filter()]) == [Count(number=1_000, whole=False)] * 2
    await counts.close()


def test_what_a_first_view_costs(look: Look, sent: dict[str, str]) -> None:
    """A page with all that it needs is at most 90 kB, as it is sent; a stream is not packed."""
    client = look()

    def size(path: str) -> int:
        answer = client.get(path, headers={"accept-encoding": "gzip"})
        assert path.endswith(".svg") or answer.headers["content-encoding"] == "gzip", path
        return int(answer.headers["content-length"])

    for path in ("/", "/jobs", f"/jobs/{sent['failed']}", "/routing", f"/workflows/{sent['run']}"):
        parts = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get(path).text))
        assert len(parts) >= 5
        assert size(path) + sum(map(size, parts)) <= 90_000
