"""The dashboard within other frameworks: real requests, below a prefix that the host chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
import uvicorn
from django.conf import empty, settings  # type: ignore[import-untyped]  # it has none
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]  # it has none
from django.db import connections  # type: ignore[import-untyped]  # it has none
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]  # it has none
from django.urls import path as at_path  # type: ignore[import-untyped]  # it has none
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from ropeway import Ropeway
from ropeway.states import State
from ropeway.web import Dashboard, Grant
from ropeway.web.doors import PAGES
from tests.web.support import Read, filled

PREFIX = "/in/ops"


def _shop(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the shop")


urlpatterns = [at_path("", _shop)]
"""The pages of the host under Django."""


def in_fastapi(dashboard: Dashboard) -> Any:
    """Mount it as the page on it says."""
    host = FastAPI()
    host.get("/", response_class=PlainTextResponse)(lambda: "the shop")
    host.mount(PREFIX, dashboard)
    return host


def in_starlette(dashboard: Dashboard) -> Any:
    """Mount it in what is itself mounted."""
    inner = Mount("/in", routes=[Mount("/ops", dashboard)])
    return Starlette(routes=[Route("/", lambda request: PlainTextResponse("the shop")), inner])


def in_flask(dashboard: Dashboard) -> Any:
    """Hand over what is below the prefix."""
    host = Flask("host")
    host.add_url_rule("/", view_func=lambda: "the shop")
    return dashboard.wsgi(host.wsgi_app, PREFIX)


def in_django(dashboard: Dashboard) -> Any:
    """Hand over what is below the prefix, as `wsgi.py` of a project does."""
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], LOGGING_CONFIG=None)
    return dashboard.wsgi(get_wsgi_application(), PREFIX)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


@contextmanager
def by_wsgi(host: Any) -> Iterator[str]:
    """Serve a WSGI app; yield its address."""
    with make_server("127.0.0.1", 0, host, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def by_asgi(host: Any) -> Iterator[str]:
    """Serve an ASGI app; yield its address."""
    config = uvicorn.Config(host, port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with config.bind_socket() as socket:
        socket.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


HOSTS: dict[str, tuple[Callable[[Dashboard], Any], Callable[[Any], Any]]] = {
    "fastapi": (in_fastapi, by_asgi),
    "starlette": (in_starlette, by_asgi),
    "flask": (in_flask, by_wsgi),
    "django": (in_django, by_wsgi),
}


@pytest.fixture
def no_settings() -> Iterator[None]:
    """Take away what other tests have configured of Django, and give it back."""
    lazy: Any = settings
    before, lazy._wrapped = lazy._wrapped, empty
    yield
    lazy._wrapped = before
    # What it made of the settings it saw first would stay for those who come later.
    connections._settings = None
    vars(connections).pop("settings", None)
    with suppress(AttributeError):
        del connections["default"]


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.usefixtures("no_settings")
def test_under(name: str, app: Ropeway) -> None:
    """The host's pages stay the host's; what is below the prefix knows it, wherever it leads."""
    sent = filled(app)
    mounted, served = HOSTS[name]
    host = mounted(Dashboard(app, access=lambda request: Grant("kim", "admin")))
    with served(host) as address, httpx.Client(base_url=address) as client:
        assert client.get("/").text == "the shop"
        assert client.get("/in/opsx").status_code == 404
        assert client.get(PREFIX, follow_redirects=True).status_code == 200
        links, files = set[str](), set[str]()
        for path in [each for each in PAGES if "{" not in each and each != "/bulk"]:
            answer = client.get(PREFIX + path)
            assert answer.status_code == 200, (path, answer.text[-300:])
            page = Read(answer.text)
            links |= {str(a["href"]) for a in page.all("a")}
            links |= {str(form["action"]) for form in page.all("form") if "action" in form}
            files |= {str(link["href"]) for link in page.all("link")}
            files |= {str(script["src"]) for script in page.all("script")}
        assert f"{PREFIX}/jobs/{sent['failed']}" in links
        assert [each for each in links | files if not each.startswith((f"{PREFIX}/", "#"))] == []
        for file in files:
            assert client.get(file).status_code == 200, file
        _acts(client, app, sent["failed"])
        once = client.get(f"{PREFIX}/live", params={"view": "/jobs", "once": "1"})
        assert f'href="{PREFIX}/jobs/{sent["failed"]}"' in once.text
        described = client.get(f"{PREFIX}/api/v1/openapi.json").json()
        assert described["servers"] == [{"url": f"{PREFIX}/api/v1"}]
        if served is by_asgi:
            with client.stream("GET", f"{PREFIX}/live", params={"view": "/jobs"}) as stream:
                event = next(line for line in stream.iter_lines() if line.startswith("data:"))
            assert f"{PREFIX}/jobs/{sent['failed']}" in event


def _acts(client: httpx.Client, app: Ropeway, job_id: str) -> None:
    """Do something by a form, and read what the next page says of it, once."""
    asked = {"action": "jobs.retry", "target": job_id, "back": "/jobs"}
    foreign = client.post(f"{PREFIX}/act", data=asked, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    done = client.post(f"{PREFIX}/act", data=asked, headers={"sec-fetch-site": "same-origin"})
    assert (done.status_code, done.headers["location"]) == (303, f"{PREFIX}/jobs")
    assert app.job(job_id).status() is State.QUEUED
    said = [client.get(done.headers["location"]).text for _ in range(2)]
    assert ["retry: 1 job" in each for each in said] == [True, False]
