"""Logging in by a provider: by a real one, and by one that lies."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from ropeway import Ropeway
from ropeway.cli import main
from ropeway.errors import ConfigError, LoginRefused
from ropeway.web import Dashboard, Oidc
from ropeway.web.serving import refuse_open
from tests.web import liar as lies
from tests.web import provider as real
from tests.web.liar import Liar, a_key, lying

ROLES = {"ops": "operate+jobs.remove", "staff": "view"}


def looking(app: Ropeway, access: Any, *, prefix: str = "") -> Any:
    """Return a browser that follows nothing by itself, and asks below a prefix."""
    dashboard = Dashboard(app, access=access)
    return TestClient(
        Starlette(routes=[Mount(prefix, dashboard)]) if prefix else dashboard,
        base_url=f"http://localhost{prefix}",
        follow_redirects=False,
        headers={"sec-fetch-site": "same-origin"},
    )


# -- a real provider ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the provider keeps its database."""
    return tmp_path_factory.mktemp("provider")


@pytest.fixture(scope="module")
def issuer(folder: Path) -> Iterator[str]:
    """Run django-oauth-toolkit in a process; return its address."""
    words = [sys.executable, "-m", "tests.web.provider", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip() + "/o"
        finally:
            process.kill()


def access_to(issuer: str, **more: Any) -> Oidc:
    """Return an access for the client that the provider knows."""
    return Oidc(issuer, real.CLIENT, real.SECRET, roles=ROLES, **more)


def through(browser: Any, name: str, back: str, *, prefix: str = "") -> str:
    """Log in at the provider, and return the address at which one comes back."""
    url = browser.get(f"/login/begin?back={back}").headers["location"]
    with httpx2.Client() as client:
        at = httpx2.URL(url).join(client.get(url).headers["location"])
        client.get(at)
        token = client.cookies["csrftoken"]
        form = {"username": name, "password": real.PASSWORDS[name], "csrfmiddlewaretoken": token}
        sent = client.post(at, data=form)
        there = client.get(at.join(sent.headers["location"]))
    location: str = there.headers["location"]
    assert location.startswith(f"http://localhost{prefix}/login/callback?"), location
    return location.removeprefix(f"http://localhost{prefix}")


@pytest.mark.parametrize("prefix", ["", "/in/ops"])
def test_a_login_by_a_real_provider(app: Ropeway, issuer: str, prefix: str) -> None:
    """With code, PKCE and nonce; the group decides what may be done; logging out ends both."""
    browser = looking(app, access_to(issuer), prefix=prefix)
    refused = browser.get("/jobs")
    assert refused.headers["location"] == f"{prefix}/login?back=/jobs"
    page = browser.get("/login?back=/jobs").text
    assert f'href="{prefix}/login/begin?back=%2Fjobs"' in page
    back = through(browser, "ann", "/jobs?q=state:failed", prefix=prefix)
    ended = browser.get(back)
    assert ended.headers["location"] == f"{prefix}/jobs?q=state:failed"
    (kept,) = [c for c in ended.headers.get_list("set-cookie") if "_" in c and "Max-Age=43200" in c]
    assert "HttpOnly" in kept and "SameSite=lax" in kept and f"Path={prefix or '/'}" in kept
    you = browser.get("/api/v1/about").json()
    assert you["you"] == {"user": "ann", "role": "operate+jobs.remove"}
    assert "jobs.remove" in you["actions"] and "jobs.edit" not in you["actions"]
    assert 'action="' + prefix + '/logout"' in browser.get("/jobs").text
    out = browser.post("/logout").headers["location"]
    assert browser.get("/api/v1/about").status_code == 401
    assert "/login/leave" in browser.get(out.removeprefix(prefix)).text
    leave = urlsplit(browser.get("/login/leave").headers["location"])
    assert f"{leave.scheme}://{leave.netloc}{leave.path}" == f"{issuer}/logout/"
    end = httpx2.get(leave.geturl())
    assert (end.status_code, end.headers["location"].partition("?")[0]) == (
        302,
        f"http://localhost{prefix}/login",
    )


def test_who_is_in_no_group_is_told_so(app: Ropeway, issuer: str) -> None:
    """With their name, their groups and those that are let in; and has no session."""
    browser = looking(app, access_to(issuer))
    answer = browser.get(through(browser, "bob", "/"))
    assert answer.status_code == 403, answer.text
    assert "bob is in none of the groups that are let in: sales" in answer.text
    assert "ops, staff" in answer.text
    assert browser.get("/api/v1/about").status_code == 401


def test_a_code_that_is_used_expired_or_of_another_browser(
    app: Ropeway, issuer: str, folder: Path
) -> None:
    """Lets nobody in."""
    access = access_to(issuer, secret="shared")
    browser, stranger = looking(app, access), looking(app, access)
    back = through(browser, "ann", "/")
    assert "was not begun in this browser" in stranger.get(back).text
    cookies = dict(browser.cookies)
    assert browser.get(back).status_code == 303
    assert "was not begun in this browser" in browser.get(back).text
    again = looking(app, access_to(issuer, secret="shared"))  # another process of the same service
    again.cookies.update(cookies)
    replayed = again.get(back)
    assert replayed.status_code == 403 and "invalid_grant" in replayed.text
    back = through(browser, "ann", "/")
    with sqlite3.connect(folder / "p.db") as database:
        database.execute("update oauth2_provider_grant set expires = '2001-01-01'")
    database.close()
    late = browser.get(back)
    assert late.status_code == 403 and "invalid_grant" in late.text


def test_the_wrong_secret_and_verifier(app: Ropeway, issuer: str) -> None:
    """The provider refuses them, and the page says what it said."""
    browser = looking(app, Oidc(issuer, real.CLIENT, "wrong", roles=ROLES))
    assert "invalid_client" in browser.get(through(browser, "ann", "/")).text
    access = access_to(issuer)
    browser = looking(app, access)
    back = through(browser, "ann", "/")
    made = access._made
    access._made = lambda state, what: made(f"{state}x", what)  # type: ignore[method-assign]
    assert "invalid_grant" in browser.get(back).text


# -- one that lies --------------------------------------------------------------------------------


@pytest.fixture
def liar() -> Iterator[Liar]:
    """Serve a provider that can be told to lie."""
    with lying() as found:
        yield found


def trusting(liar: Liar, **more: Any) -> Oidc:
    """Return an access that has to do with it."""
    return Oidc(liar.address, lies.CLIENT, lies.SECRET, roles=ROLES, **more)


def come_back(browser: Any, liar: Liar, back: str = "/jobs", **more: str) -> Any:
    """Begin a login, and come back with an answer of the provider."""
    begun = browser.get("/login/begin", params={"back": back})
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    liar.nonce = query["nonce"][0]
    assert query["code_challenge_method"] == ["S256"]
    asked = {"code": "c", "state": query["state"][0], **more}
    return browser.get("/login/callback", params=asked)


LIES: dict[str, Callable[[Liar], object]] = {
    "alg none": lambda it: it.header.update(alg="none"),
    "signed with the client's secret": lambda it: it.header.update(alg="HS256"),
    "signed with another key": lambda it: setattr(it, "key", a_key("b")),
    "no such key": lambda it: it.header.update(kid="b"),
    "another issuer": lambda it: it.claims.update(iss="https://evil.example"),
    "no issuer": lambda it: it.claims.update(iss=None),
    "for somebody else": lambda it: it.claims.update(aud="another", azp=lies.CLIENT),
    "of another login": lambda it: it.claims.update(nonce="another"),
    "without nonce": lambda it: it.claims.update(nonce=None),
    "of yesterday": lambda it: it.claims.update(iat=1, exp=2),
    "without end": lambda it: it.claims.update(exp=None),
    "for another access token": lambda it: it.claims.update(at_hash="AAAA"),
    "no token": lambda it: it.token.update(id_token=None),
    "no JWT": lambda it: it.token.update(id_token="x.y"),
    "somebody else's groups": lambda it: (
        it.claims.update(groups=None),
        it.userinfo.update(sub="2"),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_lets_nobody_in(app: Ropeway, liar: Liar, lie: str) -> None:
    """And is told of; the same without it lets in."""
    browser = looking(app, trusting(liar))
    LIES[lie](liar)
    answer = come_back(browser, liar)
    assert answer.status_code == 403, answer.text
    assert "was not believed" in answer.text
    assert browser.get("/api/v1/about").status_code == 401


def test_what_is_true_is_believed(app: Ropeway, liar: Liar) -> None:
    """Also with a new key, and groups that are only told when asked for."""
    browser = looking(app, trusting(liar))
    assert come_back(browser, liar).headers["location"] == "/jobs"
    liar.key = a_key("new")
    liar.shown, liar.header["kid"] = [liar.key], "new"
    liar.claims["groups"], liar.userinfo["groups"] = None, ["staff"]
    assert come_back(browser, liar).headers["location"] == "/jobs"
    assert browser.get("/api/v1/about").json()["you"] == {"user": "ann", "role": "view"}
    assert len({form["code_verifier"] for form in liar.asked}) == 2


def test_answers_that_belong_to_no_login(app: Ropeway, liar: Liar) -> None:
    """Another state, a second time, an error, another provider; and none of them goes elsewhere."""
    access = trusting(liar)
    browser = looking(app, access)
    assert "was not begun" in come_back(browser, liar, state="other").text
    assert "was not begun" in come_back(browser, liar, state="").text
    said = come_back(browser, liar, error="access_denied", error_description="<b>no</b>").text
    assert "access_denied" in said and "<b>no" not in said
    assert "another provider" in come_back(browser, liar, iss="https://evil.example").text
    liar.about["authorization_response_iss_parameter_supported"] = True
    access.provider._about = None
    assert "another provider" in come_back(browser, liar).text
    assert come_back(browser, liar, iss=liar.address).status_code == 303
    for back in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:x"):
        answer = come_back(browser, liar, back, iss=liar.address)
        assert answer.headers["location"] == "/"
    begun = browser.get("/login/begin")
    liar.nonce = parse_qs(urlsplit(begun.headers["location"]).query)["nonce"][0]
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    cookies, asked = dict(browser.cookies), {"code": "c", "state": state, "iss": liar.address}
    assert browser.get("/login/callback", params=asked).status_code == 303
    browser.cookies.update(cookies)  # somebody has kept them
    assert "was used before" in browser.get("/login/callback", params=asked).text


def test_a_session_cannot_be_made_up(app: Ropeway, liar: Liar) -> None:
    """Nor go on after its time, nor be one of a login page with the same secret."""
    access = trusting(liar, secret="x", lasts=-1.0)
    browser = looking(app, access)
    assert come_back(browser, liar).status_code == 303
    assert browser.get("/api/v1/about").status_code == 401
    good = trusting(liar, secret="x").sessions
    name, value = good.name, good.cookie('["kim", "view"]')
    assert looking(app, trusting(liar, secret="y")).get("/about").status_code == 303
    for cookie in (value[:-1], value.replace(".", "x", 1), "", "....", "é.1.2"):
        browser.cookies.clear()
        browser.cookies.set(name, cookie.encode("ascii", "ignore").decode())
        assert browser.get("/api/v1/about").status_code == 401
    browser.cookies.set(name, value)
    assert browser.get("/api/v1/about").json()["you"]["user"] == "kim"


def test_a_provider_that_is_away_or_another(app: Ropeway, liar: Liar) -> None:
    """Is told of on the page, with what to look at; who is logged in stays so."""
    access = trusting(liar)
    browser = looking(app, access)
    assert come_back(browser, liar).status_code == 303
    for about, told in (
        ({"issuer": "https://other.example"}, "of the issuer"),
        ({"token_endpoint": "http://other.example/"}, "no https address"),
    ):
        liar.about, access.provider._about = about, None
        answer = browser.get("/login/begin")
        assert answer.status_code == 503 and told in answer.text
    liar.status = 500
    assert "openid-configuration from here" in browser.get("/login/begin").text
    away = looking(app, Oidc("http://127.0.0.1:9", "c", roles=ROLES)).get("/login/begin")
    assert away.status_code == 503 and "ConnectError" in away.text
    assert browser.get("/api/v1/about").status_code == 200


def test_behind_a_proxy_that_speaks_https(app: Ropeway, liar: Liar) -> None:
    """The address is what people see, and the cookies are for https alone."""
    browser = looking(app, trusting(liar, url="https://ops.example/in"), prefix="/in")
    begun = browser.get("/login/begin")
    query = parse_qs(urlsplit(begun.headers["location"]).query)
    assert query["redirect_uri"] == ["https://ops.example/in/login/callback"]
    assert "Secure" in begun.headers["set-cookie"]


# -- who may do what ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("groups", {"groups": ["staff", "ops"]}, "operate+jobs.remove"),
        ("groups", {"groups": "staff"}, "view"),
        ("realm_access.roles", {"realm_access": {"roles": ["staff"]}}, "view"),
        ("realm_access.roles", {"realm_access": "staff"}, None),
        ("groups", {"groups": [["ops"], {"ops": 1}, None, "opsx"]}, None),
        ("groups", {}, None),
        ("email", {"email": "staff", "email_verified": True}, "view"),
        ("email", {"email": "staff"}, None),
    ],
)
def test_the_role_of_a_group(claim: str, claims: dict[str, Any], role: str | None) -> None:
    """The first that fits, wherever the provider tells it; an address counts if it was verified."""
    access = Oidc("https://id.example", "c", roles=ROLES, claim=claim)
    if role is None:
        with pytest.raises(LoginRefused, match="none of the groups"):
            access.granted({"sub": "1", **claims})
    else:
        assert access.granted({"sub": "1", **claims}).role == role


def test_what_is_set_wrongly_is_told_at_once(app: Ropeway) -> None:
    """Before anybody logs in; and a public address is allowed with it."""
    for issuer, roles in (
        ("http://id.example", ROLES),
        ("https://id.example", {}),
        ("https://id.example", {"ops": "root"}),
    ):
        with pytest.raises(ConfigError):
            Oidc(issuer, "c", roles=roles)
    refuse_open("0.0.0.0", Oidc("https://id.example", "c", roles=ROLES))
    asked = ["dashboard", "--auth", "oidc", "--oidc-issuer", "https://id.example"]
    lacks = CliRunner().invoke(main, asked)
    assert lacks.exit_code == 2 and "--oidc-client-id" in lacks.stderr
    asked += ["--oidc-client-id", "c", "--oidc-role", "ops"]
    assert "GROUP=ROLE" in CliRunner().invoke(main, asked).stderr
