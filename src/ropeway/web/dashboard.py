"""The dashboard as an ASGI app: alone, or mounted in another one under any path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from ropeway.web.access import Access, Ask, access_of
from ropeway.web.counts import Counts
from ropeway.web.doors import Doors
from ropeway.web.headers import Guarded
from ropeway.web.live import Live
from ropeway.web.programs import Programs
from ropeway.web.progress import Progress, Tokens
from ropeway.web.running import Running
from ropeway.web.sampler import Sampler
from ropeway.web.site import Site

if TYPE_CHECKING:
    from ropeway.app import Ropeway

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Dashboard:
    """Pages, a JSON API and probes for whoever runs an app.

    It is an ASGI app itself: `fastapi_app.mount("/ropeway", Dashboard(app))`. Who is let in, `access`
    decides: an `Access`, or a function from a request to a `Grant` or None. Without it only this
    machine is. `environment` is a word and a colour for the top of each page, such as
    `("production", "red")`; `base_path` is what a proxy has taken off the paths; `secret` signs
    tokens for progress.
    """

    def __init__(
        self,
        app: Ropeway,
        *,
        access: Access | Ask | None = None,
        title: str = "ropeway",
        environment: tuple[str, str] | None = None,
        read_only: bool = False,
        base_path: str = "",
        secret: str | None = None,
    ) -> None:
        self.site = Site(
            app=app,
            access=access_of(access),
            title=title,
            environment=environment,
            read_only=read_only,
            base_path=base_path.rstrip("/"),
            sampler=Sampler(lambda: app.store),
            counts=Counts(lambda: app.store),
            live=Live(),
            running=Running(),
        )
        self._tokens = Tokens(secret)
        self._asgi = Guarded(GZipMiddleware(self._routes(), minimum_size=1000, compresslevel=5))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._asgi({**scope, "ropeway.root": scope.get("root_path", "")}, receive, send)

    def progress_token(self, job_id: str, ttl: float = 600.0) -> str:
        """Return a token that opens `/progress/JOB?token=...` for so many seconds, and nothing else.

        That is a stream of how the job is doing, for a page of your application. Several processes
        need the same `secret`.
        """
        return self._tokens.make(job_id, ttl)

    def wsgi(self, host: WSGI, prefix: str) -> WSGI:
        """Return a WSGI app that answers what is below `prefix`, and leaves the rest to `host`.

        Pages ask for what is new there instead of being sent it: each stream would hold a thread.
        """
        from a2wsgi import ASGIMiddleware

        mounted = cast("WSGI", ASGIMiddleware(cast("Any", self)))
        prefix = "/" + prefix.strip("/")

        def both(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if path != prefix and not path.startswith(f"{prefix}/"):
                return host(environ, start_response)
            script = environ.get("SCRIPT_NAME", "") + prefix
            below = {**environ, "SCRIPT_NAME": script, "PATH_INFO": path[len(prefix) :] or "/"}
            return mounted(below, start_response)

        return both

    def _routes(self) -> Starlette:
        doors, programs = Doors(self.site), Programs(self.site)
        return Starlette(
            routes=[
                Mount("/static", StaticFiles(packages=[("ropeway.web", "static")])),
                Route("/progress/{id}", Progress(self.site.app, self._tokens).answer),
                *programs.routes(),
                *doors.routes(),
            ],
            lifespan=self._lifespan,
            exception_handlers=cast("Mapping[Any, Any]", doors.handlers()),
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.site.running.close()
            await self.site.sampler.close()
            await self.site.counts.close()
            await self.site.app.aclose()
