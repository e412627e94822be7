"""The doors by which people are let in: a link, a name and a password, a provider of logins."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ropeway.errors import LoginRefused, ProviderAway
from ropeway.web.access import SESSION, Token, Users
from ropeway.web.catalogue import catalogue
from ropeway.web.errors import status_of
from ropeway.web.looking import Looking, language, local, path_of
from ropeway.web.oidc import Oidc
from ropeway.web.rendering import Look, environment
from ropeway.web.site import Site


class Entry:
    """Lets people in, and out."""

    def __init__(self, site: Site, looking: Looking) -> None:
        self._site = site
        self._looking = looking

    def routes(self) -> Sequence[BaseRoute]:
        """Return where the doors are."""
        found = [
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
        ]
        if isinstance(self._site.access, Oidc):
            found += [
                Route("/login/begin", self._begin),
                Route("/login/callback", self._end),
                Route("/login/leave", self._leave),
            ]
        return found

    def by_link(self, request: Request) -> Response | None:
        """Let in whoever comes with the token in a link, which the address does not keep."""
        access, given = self._site.access, request.query_params.get("token", "")
        if not given or not isinstance(access, Token) or not access.is_token(given):
            return None
        prefix = self._looking.prefix(request)
        rest = urlencode(
            [each for each in request.query_params.multi_items() if each[0] != "token"]
        )
        response = RedirectResponse(prefix + path_of(request) + (f"?{rest}" if rest else ""), 303)
        self._remember(request, response, access.sessions.name, access.sessions.cookie("local"))
        return response

    async def _login(self, request: Request) -> Response:
        access, back = self._site.access, local(request.query_params.get("back", "/"))
        wrong = False
        if request.method == "POST" and isinstance(access, Users):
            form = dict(parse_qsl((await self._looking.body(request)).decode()))
            back, name = local(form.get("back", "/")), form.get("name", "")
            address = request.client.host if request.client else ""
            if await access.check(name, form.get("password", ""), address):
                response = RedirectResponse(self._looking.prefix(request) + back, 303)
                kept = access.sessions
                self._remember(request, response, kept.name, kept.cookie(name))
                return response
            wrong = True
        return self._shown(request, back, 401 if wrong or not access.login else 200, wrong=wrong)

    async def _logout(self, request: Request) -> Response:
        access, prefix = self._site.access, self._looking.prefix(request)
        out = "?out=1" if isinstance(access, Oidc) else ""
        response = RedirectResponse(f"{prefix}/login{out}", 303)
        if isinstance(access, Users | Token | Oidc):
            response.delete_cookie(access.sessions.name, path=prefix or "/")
        return response

    # -- by a provider --------------------------------------------------------------------

    async def _begin(self, request: Request) -> Response:
        access, back = self._oidc(), local(request.query_params.get("back", "/"))
        try:
            begun = await access.begin(f"{self._base(request)}/login/callback", back)
        except ProviderAway as error:
            return self._shown(request, back, status_of(error), fault=str(error))
        response = RedirectResponse(begun.url, 303)
        self._remember(request, response, begun.cookie, begun.value, 600)
        return response

    async def _end(self, request: Request) -> Response:
        access, prefix = self._oidc(), self._looking.prefix(request)
        try:
            ended = await access.end(request, f"{self._base(request)}/login/callback")
        except (LoginRefused, ProviderAway) as error:
            return self._shown(request, "/", status_of(error), fault=str(error))
        response = RedirectResponse(prefix + local(ended.back), 303)
        cookie = access.cookie(ended.grant)
        self._remember(request, response, access.sessions.name, cookie, int(access.lasts))
        response.delete_cookie(ended.cookie, path=prefix or "/")
        return response

    async def _leave(self, request: Request) -> Response:
        access, login = self._oidc(), f"{self._base(request)}/login"
        try:
            url = await access.provider.logout_url(login)
        except ProviderAway as error:
            return self._shown(request, "/", status_of(error), fault=str(error))
        return RedirectResponse(url or login, 303)

    def _oidc(self) -> Oidc:
        assert isinstance(self._site.access, Oidc)
        return self._site.access

    def _base(self, request: Request) -> str:
        """Return the address of the dashboard, as people reach it."""
        access = self._site.access
        if isinstance(access, Oidc) and access.url:
            return access.url
        host = request.headers.get("host", "")
        return f"{request.url.scheme}://{host}{self._looking.prefix(request)}"

    def _shown(
        self, request: Request, back: str, status: int, *, wrong: bool = False, fault: str = ""
    ) -> Response:
        access, prefix = self._site.access, self._looking.prefix(request)
        text = (
            environment()
            .get_template("login.html")
            .render(
                t=catalogue(language(request)),
                look=Look(request.cookies),
                site=self._site.title,
                prefix=prefix,
                login=access.login,
                provider=access.provider.name if isinstance(access, Oidc) else "",
                begin=f"{prefix}/login/begin?{urlencode({'back': back})}",
                out="out" in request.query_params,
                advice=access.advice(prefix),
                wrong=wrong,
                fault=fault,
                back=back,
            )
        )
        return HTMLResponse(text, status)

    def _remember(
        self, request: Request, response: Response, name: str, value: str, seconds: int = SESSION
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=self._looking.prefix(request) or "/",
            secure=self._base(request).startswith("https:"),
            httponly=True,
            samesite="lax",
        )
