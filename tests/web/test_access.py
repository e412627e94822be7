"""Who is let in, and whose requests are believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from ropeway import Ropeway
from ropeway.cli import main
from ropeway.errors import BadRole, ConfigError, Unsafe
from ropeway.web import Dashboard, Grant, Proxy, Token, Users
from ropeway.web.passwords import UserFile
from ropeway.web.serving import link, refuse_open


@pytest.fixture
def file(tmp_path: Path) -> UserFile:
    """Return a file with one user."""
    file = UserFile(tmp_path / "users")
    file.put("ann", "operate", "s3cret")
    return file


def client(
    app: Ropeway, access: Any, *, host: str = "127.0.0.1", base: str = "http://localhost"
) -> TestClient:
    """Return a client from some address."""
    return TestClient(
        Dashboard(app, access=access), base_url=base, client=(host, 5000), follow_redirects=False
    )


def let_in(client: TestClient, **headers: str) -> bool:
    """Whether the first page is shown, and not the way to be let in."""
    return (
        client.get(
            "/about", headers={k.replace("_", "-"): v for k, v in headers.items()}
        ).status_code
        == 200
    )


def test_without_access_only_this_machine(app: Ropeway) -> None:
    """By its own name, and not through a proxy, nor by a page that made its name point here."""
    assert let_in(client(app, None))
    assert not let_in(client(app, None, host="10.0.0.5"))
    assert not let_in(client(app, None, base="http://evil.example"))
    for header in ("forwarded", "x_forwarded_for", "x_real_ip"):
        assert not let_in(client(app, None), **{header: "127.0.0.1"})


def test_a_link_with_a_token(app: Ropeway) -> None:
    """Lets in once, in a cookie that scripts cannot read; the token does not stay in the address."""
    access = Token("right")
    looking = client(app, access)
    assert not let_in(looking)
    assert looking.get("/?token=wrong").headers["location"].startswith("/login")
    answer = looking.get("/jobs?token=right&q=state:failed")
    assert answer.headers["location"] == "/jobs?q=state%3Afailed"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert let_in(looking)
    assert let_in(client(app, access), authorization="Bearer right")
    assert not let_in(client(app, access), authorization="Bearer wrong")
    forged = client(app, access)
    forged.cookies.set(access.sessions.name, Token("right").sessions.cookie("local"))
    assert not let_in(forged)


def test_users(app: Ropeway, file: UserFile) -> None:
    """By name and password; who is removed is out at once."""
    looking = client(app, Users(file))
    assert looking.get("/jobs").headers["location"] == "/login?back=/jobs"
    wrong = looking.post("/login", data={"name": "ann", "password": "no"})
    assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
    right = looking.post("/login", data={"name": "ann", "password": "s3cret", "back": "/jobs"})
    assert right.headers["location"] == "/jobs"
    assert looking.get("/api/v1/about").json()["you"] == {"user": "ann", "role": "operate"}
    file.put("ann", "view", "s3cret")
    assert looking.get("/api/v1/about").json()["you"]["role"] == "view"
    file.remove("ann")
    assert not let_in(looking)


def test_passwords_cannot_be_tried_at_will(app: Ropeway, file: UserFile) -> None:
    """After five wrong ones an address has to wait, also with the right one; others do not."""
    access = Users(file)
    looking = client(app, access)
    for _ in range(5):
        looking.post("/login", data={"name": "ann", "password": "no"})
    right = {"name": "ann", "password": "s3cret"}
    assert looking.post("/login", data=right).status_code == 401
    assert client(app, access, host="10.0.0.9").post("/login", data=right).status_code == 303


def test_programs_log_in_with_basic(app: Ropeway, file: UserFile) -> None:
    """Each request has the name and the password."""
    looking = client(app, Users(file))
    assert looking.get("/api/v1/about", auth=("ann", "s3cret")).status_code == 200
    assert looking.get("/api/v1/about", auth=("ann", "no")).status_code == 401
    assert looking.get("/api/v1/about", auth=("bob", "s3cret")).status_code == 401


def test_a_proxy_is_believed_from_its_address_alone(app: Ropeway) -> None:
    """Anybody can write the header."""
    access = Proxy(["10.0.0.0/8"])
    assert let_in(client(app, access, host="10.1.2.3"), x_forwarded_user="ann")
    assert not let_in(client(app, access, host="10.1.2.3"))
    assert not let_in(client(app, access, host="192.168.0.1"), x_forwarded_user="ann")
    answer = client(app, access, host="10.1.2.3").get(
        "/api/v1/about", headers={"x-forwarded-user": "ann", "x-forwarded-role": "root"}
    )
    assert answer.status_code == 401  # what was meant may have been less than the role of everybody
    with pytest.raises(BadRole):
        Proxy(["10.0.0.0/8"], role="veiw")


def test_foreign_pages_change_nothing(app: Ropeway) -> None:
    """A page of another site can send a form, but the browser says whose it is."""
    looking = client(app, lambda request: Grant("kim", "admin"))
    looking.cookies.set("session", "x")
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {},
    ):
        for path in ("/act", "/prefs", "/api/v1/actions/queues.pause"):
            answer = looking.post(path, data={"action": "queues.pause"}, headers=headers)
            assert answer.status_code == 403, (headers, path)
    own = {"origin": "http://localhost"}
    assert looking.post("/prefs", data={}, headers=own).status_code == 303


def test_the_probes_are_for_everybody_and_the_rest_is_not(app: Ropeway, file: UserFile) -> None:
    """What a load balancer asks tells nothing of what is inside."""
    looking = client(app, Users(file), host="10.9.9.9")
    assert looking.get("/healthz").text == looking.get("/readyz").text == "ok\n"
    for path in ("/metrics", "/api/v1/jobs", "/api/v1/openapi.json", "/api/v1/x", "/live?view=/"):
        assert looking.get(path).status_code == 401, path
    for path in ("/", "/jobs", "/jobs/x", "/nothing"):
        assert looking.get(path).headers["location"].startswith("/login"), path


def test_a_public_address_needs_more_than_a_link(app: Ropeway, file: UserFile) -> None:
    """It does not start."""
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"):
        with pytest.raises(Unsafe, match="reachable"):
            refuse_open(host, Token())
        refuse_open(host, Users(file))
    refuse_open("::1", Token())
    assert link(Dashboard(app, access=Token("t")), "::1", 80) == "http://[::1]:80/?token=t"
    found = CliRunner().invoke(main, ["dashboard", "--host", "0.0.0.0"])
    assert (found.exit_code, "RW-503" in found.stderr) == (10, True)


def test_the_file_of_users(tmp_path: Path, file: UserFile) -> None:
    """Readable by its owner alone, without passwords in it; what is no user is told."""
    assert os.stat(file.path).st_mode & 0o777 == 0o600
    assert "s3cret" not in file.path.read_text()
    with pytest.raises(ConfigError, match="no name"):
        file.put("a:b", "view", "x")
    for line, told in (("ann:root:scrypt$a$b", "ann has a wrong role"), ("ann:view", "is no user")):
        file.path.write_text(f"{line}\n")
        with pytest.raises(ConfigError, match=told):
            UserFile(file.path).users()
    assert UserFile(tmp_path / "none").users() == {}


def test_the_commands_for_users(tmp_path: Path) -> None:
    """Add, list and remove."""
    at = ["--file", str(tmp_path / "u")]

    def call(*words: str) -> Any:
        return CliRunner().invoke(main, ["dashboard", "users", *words, *at])

    assert call("add", "ann", "--role", "admin", "--password", "x").exit_code == 0
    assert call("ls").stdout == "ann\tadmin\n"
    assert UserFile(tmp_path / "u").check("ann", "x")
    assert call("rm", "ann").exit_code == 0
    assert call("ls").stdout == ""
    empty = CliRunner().invoke(main, ["dashboard", "--auth", "users", "--users", at[1]])
    assert empty.exit_code == 10
