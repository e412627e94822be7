"""What people ask with a browser: pages, actions, and what is new on a page."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Route

from ropeway.errors import BadArguments, RopewayError
from ropeway.web.acting import TYPED_FROM, Asked, do
from ropeway.web.at import At, Shown
from ropeway.web.catalogue import LANGUAGES
from ropeway.web.entry import Entry
from ropeway.web.errors import nothing_there, problem, status_of
from ropeway.web.looking import Looking, local, path_of
from ropeway.web.rendering import Look, environment, main, page
from ropeway.web.site import Site
from ropeway.web.views import (
    errors,
    jobs,
    operations,
    overview,
    queues,
    routing,
    schedules,
    sending,
    system,
    topics,
    workers,
    workflows,
)

View = Callable[[At], Awaitable[Shown]]

PAGES: dict[str, View] = {
    "/": overview.overview,
    "/jobs": jobs.jobs,
    "/jobs/{id}": jobs.job,
    "/jobs/{id}/edit": jobs.edit,
    "/bulk": jobs.bulk,
    "/send": sending.send,
    "/errors": errors.errors,
    "/quarantine": errors.quarantine,
    "/queues": queues.queues,
    "/queues/{name:path}": queues.queue,
    "/limits": queues.limits,
    "/workers": workers.workers,
    "/workers/{name:path}": workers.worker,
    "/schedules": schedules.schedules,
    "/schedules/{name:path}": schedules.schedule,
    "/workflows": workflows.workflows,
    "/workflows/{id}": workflows.workflow,
    "/topics": topics.topics,
    "/topics/{name:path}": topics.topic,
    "/routing": routing.routing,
    "/operations": operations.operations,
    "/operations/{id}": operations.operation,
    "/performance": system.performance,
    "/audit": system.audit,
    "/about": system.about,
}
"""Every page that shows something, by its path."""

WARNINGS = {
    "queues.purge": "Every job that waits in it is cancelled. Those that run are not touched.",
    "queues.pause": "No worker claims from it until it is resumed. What runs goes on.",
    "jobs.remove": "It is forgotten for good, with its arguments, its result and its error.",
    "schedules.pause": "It fires nothing until it is resumed, whatever is deployed.",
    "workflows.cancel": "What waits of it is cancelled, and what runs is asked to stop.",
    "workers.stop": "It claims nothing more, finishes what runs, and ends.",
}
_TOLD = "ropeway_told"


class Doors:
    """The doors for people."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._looking = Looking(site)
        self._entry = Entry(site, self._looking)
        self._pages = [Route(path, self._shows(view), name=path) for path, view in PAGES.items()]

    def routes(self) -> Sequence[BaseRoute]:
        """Return where they are."""
        return [
            Route("/live", self._live),
            Route("/act", self._act, methods=["POST"]),
            Route("/confirm", self._shows(self._confirm)),
            Route("/move", self._shows(topics.move)),
            Route("/prefs", self._prefs, methods=["POST"]),
            *self._entry.routes(),
            *self._pages,
        ]

    def handlers(self) -> dict[Any, Any]:
        """Return what answers when something cannot be done."""
        return {RopewayError: self._failed, HTTPException: self._refused}

    # -- pages ----------------------------------------------------------------------------

    def _shows(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if (entered := self._entry.by_link(request)) is not None:
                return entered
            at = await self._looking.at(request)
            if isinstance(at, Response):
                return at
            try:
                shown = await view(at)
            except RopewayError as error:
                shown = _failure(at, error)
            return self._page(request, at, shown)

        return answer

    def _page(self, request: Request, at: At, shown: Shown) -> Response:
        told = _read_told(request)
        at = self._looking.again(at, at.path, {**at.query, **told}, dict(at.params))
        text = page(at, shown, Look(request.cookies), self._site.title, self._site.environment)
        response = HTMLResponse(text, shown.status)
        if _TOLD in request.cookies:
            response.delete_cookie(_TOLD, path=at.prefix or "/")
        return response

    async def _live(self, request: Request) -> Response:
        at = await self._looking.at(request)
        if isinstance(at, Response):
            return at
        asked = urlsplit(request.query_params.get("view", "/"))
        route, params = self._found(asked.path)
        query = dict(parse_qsl(asked.query))
        looked = self._looking.again(at, asked.path, query, params)

        async def build() -> str:
            shown = await PAGES[route](looked)
            return main(looked, shown)

        if request.query_params.get("once"):
            return HTMLResponse(await build())
        if self._site.live.full:
            raise HTTPException(503, "too many tabs are open")
        key = (asked.path, asked.query, at.grant, at.words.language, at.prefix)
        return StreamingResponse(
            self._site.live.stream(key, build),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    def _found(self, path: str) -> tuple[str, dict[str, str]]:
        scope = {"type": "http", "path": path, "root_path": "", "method": "GET"}
        for route in self._pages:
            match, more = route.matches(scope)
            if match is Match.FULL:
                params = {name: str(each) for name, each in more["path_params"].items()}
                return route.path, params
        raise HTTPException(404)

    # -- actions --------------------------------------------------------------------------

    async def _confirm(self, at: At) -> Shown:
        action = at.asks("action")
        if action not in WARNINGS:
            raise BadArguments(f"{action!r} is nothing that is asked about")
        values = {
            "action": action,
            "target": at.query.get("target", ""),
            "warning": WARNINGS[action],
            "back": local(at.query.get("back", "/")),
        }
        title = at.words("Are you sure?")
        return Shown(template="confirm.html", title=title, values=values, live=False)

    async def _act(self, request: Request) -> Response:
        at = await self._looking.at(request)
        if isinstance(at, Response):
            return at
        form = dict(parse_qsl((await self._looking.body(request)).decode(), keep_blank_values=True))
        back = local(form.get("back", "/"))
        try:
            _refuse_untyped(form)
            outcome = await do(at, form.get("action", ""), _asked(form))
        except RopewayError as error:
            told = {"refused": f"{error.fact}. {error.hint}".strip()}
        else:
            if "stack" in outcome.values:
                values = {"stack": outcome.values["stack"], "worker": form["target"]}
                shown = Shown(template="stack.html", title=form["target"], values=values)
                return self._page(request, at, shown)
            told = {"told": outcome.told}
            if form.get("action") == "jobs.send":
                back = f"/jobs/{outcome.values['id']}"
            if outcome.values.get("status") == "running":
                back = f"/operations/{outcome.values['operation']}"
        response = RedirectResponse(at.prefix + back, 303)
        response.set_cookie(
            _TOLD,
            quote(json.dumps(told)[:3000]),
            max_age=30,
            path=at.prefix or "/",
            httponly=True,
            samesite="lax",
        )
        return response

    async def _prefs(self, request: Request) -> Response:
        at = await self._looking.at(request)
        if isinstance(at, Response):
            return at
        form = dict(parse_qsl((await self._looking.body(request)).decode()))
        response = RedirectResponse(at.prefix + local(form.get("back", "/")), 303)
        known = {"lang": list(LANGUAGES), "theme": ["system", "light", "dark"]}
        for name, values in known.items():
            if form.get(name) in values:
                response.set_cookie(
                    f"ropeway_{name}",
                    form[name],
                    max_age=31_536_000,
                    path=at.prefix or "/",
                    samesite="lax",
                )
        return response

    # -- what cannot be done --------------------------------------------------------------

    async def _failed(self, request: Request, error: RopewayError) -> Response:
        if path_of(request).startswith("/api/"):
            return problem(error)
        return HTMLResponse(_plain(f"{error.code} {error.fact}"), status_of(error))

    async def _refused(self, request: Request, error: HTTPException) -> Response:
        try:
            at = await self._looking.at(request)
        except RopewayError as foreign:
            return await self._failed(request, foreign)
        if isinstance(at, Response):
            return at
        if path_of(request).startswith("/api/"):
            return nothing_there(error)
        heading = at.words("There is no such page") if error.status_code == 404 else error.detail
        values = {"heading": heading, "fact": error.detail, "hint": "", "code": ""}
        shown = Shown(
            template="failure.html",
            title=heading,
            values=values,
            live=False,
            status=error.status_code,
        )
        return self._page(request, at, shown)


def _failure(at: At, error: RopewayError) -> Shown:
    values = {
        "heading": at.words("This cannot be shown"),
        "fact": error.fact,
        "hint": error.hint,
        "code": error.code,
    }
    return Shown(
        template="failure.html",
        title=at.words("This cannot be shown"),
        values=values,
        live=False,
        status=status_of(error),
    )


def _plain(text: str) -> str:
    return (
        environment()
        .from_string("<!doctype html><title>{{ text }}</title><p>{{ text }}</p>")
        .render(text=text)
    )


def _read_told(request: Request) -> dict[str, str]:
    try:
        found = json.loads(unquote(request.cookies.get(_TOLD, "")))
    except ValueError:
        return {"told": "", "refused": ""}
    told = found if isinstance(found, dict) else {}
    return {name: str(told.get(name, "")) for name in ("told", "refused")}


def _refuse_untyped(form: dict[str, str]) -> None:
    """Raise `BadArguments` if what has to be typed to be sure was not typed."""
    if form.get("action") == "queues.purge" and form.get("typed") != form.get("target"):
        raise BadArguments("the name of the queue was not typed", hint="nothing was changed")
    if form.get("action") == "topics.purge" and form.get("typed") != form.get("target"):
        raise BadArguments("the name of the topic was not typed", hint="nothing was changed")
    expect = form.get("expect", "0")
    many = expect.isdecimal() and int(expect) > TYPED_FROM
    if form.get("bulk") and many and form.get("typed") != expect:
        raise BadArguments("the number of jobs was not typed", hint="nothing was changed")


def _asked(form: dict[str, str]) -> Asked:
    """Read a form; raises `BadArguments`."""
    bulk, ids = bool(form.get("bulk")), form.get("ids", "").split()
    arguments = None
    if "arguments" in form:
        try:
            arguments = json.loads(form["arguments"])
        except ValueError as error:
            raise BadArguments(f"the arguments are no JSON: {error}") from None
        if not isinstance(arguments, dict):
            raise BadArguments("the arguments are no JSON object", hint='write {"name": value}')
    return Asked(
        target="" if bulk else form.get("target", ""),
        ids=ids,
        q=form.get("q", "") if bulk and not ids else None,
        why=form.get("why", "")[:300],
        expect=_number(form, "expect"),
        version=_number(form, "version"),
        arguments=arguments,
        queue=form.get("queue") or None,
        priority=_number(form, "priority"),
        delay=float(_number(form, "delay") or 0),
        signal=form.get("signal", ""),
        place=form.get("place", ""),
        until=form.get("until", "now"),
        back=form.get("verb") == "rewind",
        unread=bool(form.get("unread")),
    )


def _number(form: dict[str, str], name: str) -> int | None:
    given = form.get(name, "")
    if given and not given.isdecimal():
        raise BadArguments(f"{name}={given!r} is no number")
    return int(given) if given else None
