"""From a request to somebody who looks: who they are, and whether they may ask this at all."""

from __future__ import annotations

import re
from urllib.parse import quote

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from ropeway.errors import BadArguments, ForeignPage
from ropeway.web.access import Grant, is_same_site
from ropeway.web.at import At
from ropeway.web.catalogue import catalogue, preferred
from ropeway.web.site import Site

_LARGEST = 2_000_000
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x1f]*")


class Looking:
    """Lets somebody look, or says why not."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def at(self, request: Request) -> At | Response:
        """Return who looks at what, or the answer to who is not let in.

        Raises `ForeignPage`, and `BadArguments` for what is no text.
        """
        if request.method not in {"GET", "HEAD"} and not is_same_site(request):
            raise ForeignPage(
                "a change was asked for by a page that is not of this dashboard",
                hint="do it on the dashboard's own page, or in a program with its own credentials",
            )
        grant = await self._site.access.grant(request)
        if grant is None:
            return self._refusal(request)
        query = query_of(request)
        refuse_nul(request.scope["path"], *query, *query.values())
        return self._made(request, grant, path_of(request), query)

    def again(self, at: At, path: str, query: dict[str, str], params: dict[str, str]) -> At:
        """Return the same person, looking at another page; raises `BadArguments`."""
        refuse_nul(path, *query, *query.values())
        return replace(at, path=path, query=query, params=params)

    def prefix(self, request: Request) -> str:
        """Return what links begin with: where the dashboard is mounted."""
        return self._site.base_path + root_of(request)

    async def body(self, request: Request) -> bytes:
        """Return the body, if it is not too large."""
        data = b""
        async for chunk in request.stream():
            data += chunk
            if len(data) > _LARGEST:
                raise BadArguments("the request is too large", hint="send less at once")
        return data

    def _made(self, request: Request, grant: Grant, path: str, query: dict[str, str]) -> At:
        return At(
            app=self._site.app,
            grant=grant,
            read_only=self._site.read_only,
            leaves=self._site.access.login,
            prefix=self.prefix(request),
            path=path,
            query=query,
            params={name: str(each) for name, each in request.path_params.items()},
            words=catalogue(language(request)),
            sampler=self._site.sampler,
            counts=self._site.counts,
            running=self._site.running,
        )

    def _refusal(self, request: Request) -> Response:
        path = path_of(request)
        prefix = self.prefix(request)
        advice = self._site.access.advice(prefix)
        if path.startswith(("/api/", "/metrics", "/live")):
            found = {"title": "not let in", "status": 401, "code": "RW-501", "detail": advice}
            return JSONResponse(found, 401, media_type="application/problem+json")
        return RedirectResponse(f"{prefix}/login?back={quote(path)}", 303)


def refuse_nul(*texts: str) -> None:
    """Raise `BadArguments` for a character that not every database can store or look for."""
    if any("\x00" in each for each in texts):
        raise BadArguments("there is a NUL character in the request", hint="take it out")


def root_of(request: Request) -> str:
    """Return the path at which the host has mounted the dashboard."""
    root = request.scope.get("ropeway.root")
    return str(request.scope.get("root_path", "")) if root is None else str(root)


def path_of(request: Request) -> str:
    """Return the path below that."""
    path: str = request.scope["path"]
    root = root_of(request)
    return (path[len(root) :] if root and path.startswith(root) else path) or "/"


def language(request: Request) -> str:
    """Return the language that somebody has chosen, or that their browser asks for."""
    chosen = request.cookies.get("ropeway_lang")
    return chosen or preferred(request.headers.get("accept-language", ""))


def local(path: str) -> str:
    """Return a path of the dashboard as it is, and anything else as its first page."""
    return path if _LOCAL.fullmatch(path) else "/"


def query_of(request: Request) -> dict[str, str]:
    """Return the query; what is there several times, as ticked boxes are, with blanks between."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        found[name] = f"{found[name]} {value}" if name in found else value
    return found
