"""What programs ask: the JSON API, probes, and figures for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router

from ropeway.errors import BadArguments, RopewayError
from ropeway.operate.probes import prometheus
from ropeway.web import description
from ropeway.web.acting import Asked, do
from ropeway.web.api import ENDPOINTS
from ropeway.web.endpoint import Endpoint
from ropeway.web.errors import problem
from ropeway.web.looking import Looking
from ropeway.web.site import Site


class Programs:
    """The doors for programs."""

    def __init__(self, site: Site) -> None:
        self._looking = Looking(site)
        self._site = site

    def routes(self) -> Sequence[BaseRoute]:
        """Return where they are."""
        # A name may have slashes; so what is below a name comes first.
        ordered = sorted(ENDPOINTS, key=lambda each: each.path.count("/"), reverse=True)
        reads = [
            Route(each.path.replace("{name}", "{name:path}"), self._reads(each)) for each in ordered
        ]
        described = Route("/openapi.json", self._described)
        act = Route("/actions/{action}", self._act, methods=["POST"])
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            # A job without an id is not the list of jobs.
            Mount("/api/v1", Router([described, act, *reads], redirect_slashes=False)),
        ]

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        try:
            await self._site.app.store.now()
        except RopewayError as error:
            return PlainTextResponse(f"{error.code}\n", 503)
        return PlainTextResponse("ok\n")

    async def _metrics(self, request: Request) -> Response:
        at = await self._looking.at(request)
        if isinstance(at, Response):
            return at
        return PlainTextResponse(
            prometheus(await at.sampler.facts()), media_type="text/plain; version=0.0.4"
        )

    async def _described(self, request: Request) -> Response:
        at = await self._looking.at(request)
        return at if isinstance(at, Response) else JSONResponse(description.described(at.prefix))

    def _reads(self, endpoint: Endpoint) -> Any:
        async def answer(request: Request) -> Response:
            try:
                at = await self._looking.at(request)
                if isinstance(at, Response):
                    return at
                endpoint.check(at.query)
                return _json(await endpoint.read(at))
            except RopewayError as error:
                return problem(error)

        return answer

    async def _act(self, request: Request) -> Response:
        try:
            at = await self._looking.at(request)
            if isinstance(at, Response):
                return at
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                raise BadArguments("the body is no JSON", hint="say so: application/json")
            try:
                asked = msgspec.json.decode(await self._looking.body(request), type=Asked)
            except msgspec.DecodeError as error:
                raise BadArguments(
                    f"the body cannot be used: {error}", hint="see /api/v1/openapi.json"
                ) from None
            return _json((await do(at, request.path_params["action"], asked)).values)
        except RopewayError as error:
            return problem(error)


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
