"""TLS to a Redis server, with and without certificates of clients; and sockets of a file."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ropeway.backends.redis.names import channel
from ropeway.errors import BackendUnavailable, ConfigError
from tests.backends.redis_faces import ADD, FACES, KEY, SET, TELL, MakeLink, links
from tests.servers.process import HOST
from tests.servers.proxy import Proxy
from tests.servers.valkey import Valkey
from tests.servers.valkeys import said

PEM = Path(__file__).parents[1] / "servers" / "tls"
CLIENT = f"cert={PEM}/client.pem&key={PEM}/client.key"


@pytest.fixture(params=FACES)
async def make(request: pytest.FixtureRequest, valkey: Valkey) -> AsyncIterator[MakeLink]:
    """Return what makes links of one face."""
    said(valkey.port, "FLUSHALL")
    async with links(request.param) as make:
        yield make


@pytest.fixture
async def secure(valkey: Valkey) -> AsyncIterator[Proxy]:
    """Return a way to the server that speaks TLS, and asks for a client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(PEM / "ca.pem"))
    context.load_cert_chain(PEM / "server.pem", PEM / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    async with Proxy(valkey.port, context) as proxy:
        yield proxy


async def test_scripts_and_hints_go_over_tls(make: MakeLink, secure: Proxy) -> None:
    """Also large ones, and with a certificate that says who the client is."""
    link = make(f"rediss://{HOST}:{secure.port}/0?ca={PEM}/ca.pem&{CLIENT}")
    assert await link.run(ADD, [KEY], [1]) == 1
    assert await link.run(SET, ["{ropeway}s"], [b"x" * 3_000_000]) == 1
    assert len(await link.command("SRANDMEMBER", "{ropeway}s")) == 3_000_000
    await link.wait(["a"], 0)
    await link.run(TELL, [KEY], [channel("ropeway", "a")])
    assert await link.wait(["a"], 0.4) == ["a"]


async def test_a_cut_is_survived_over_tls_too(make: MakeLink, secure: Proxy) -> None:
    """What does no harm twice is repeated over a new connection."""
    link = make(f"rediss://{HOST}:{secure.port}/0?ca={PEM}/ca.pem&{CLIENT}")
    for n in range(3):
        assert await link.run(SET, [KEY], [n]) == n + 1
        secure.cut()


@pytest.mark.parametrize(
    ("host", "options", "told", "hint"),
    [
        (HOST, f"ca={PEM}/other-ca.pem&{CLIENT}", "cannot be trusted", "ca=/path/ca.pem"),
        (HOST, CLIENT, "cannot be trusted", "ca=/path/ca.pem"),
        ("127.1", f"ca={PEM}/ca.pem&{CLIENT}", "not valid for '127.1'", "ca="),  # the same host
        (HOST, f"ca={PEM}/ca.pem", r"certificate required|cannot be reached", "cert="),
    ],
)
async def test_who_is_not_trusted_is_not_spoken_to(
    make: MakeLink, secure: Proxy, host: str, options: str, told: str, hint: str
) -> None:
    """By either side, and the error says what is missing."""
    with pytest.raises(BackendUnavailable, match=told) as caught:
        await make(f"rediss://:hunter2@{host}:{secure.port}/0?{options}").open()
    assert hint in caught.value.hint
    assert "hunter2" not in str(caught.value)


async def test_tls_with_a_server_that_has_none_is_told(make: MakeLink, valkey: Valkey) -> None:
    """Not as a riddle of a library's."""
    with pytest.raises(BackendUnavailable, match=r"no TLS with|cannot be reached") as caught:
        await make(f"rediss://{HOST}:{valkey.port}/0?timeout=1").open()
    assert caught.value.hint


async def test_files_that_are_no_certificates_are_named(make: MakeLink, tmp_path: Path) -> None:
    """Before anything is connected to."""
    (tmp_path / "empty.pem").write_text("")
    for name, told in (("missing.pem", "no such file"), ("empty.pem", "")):
        with pytest.raises(ConfigError, match=name) as caught:
            await make(f"rediss://{HOST}:1/0?ca={tmp_path}/{name}").open()
        assert told in str(caught.value)


async def test_a_socket_of_a_file_is_spoken_to(make: MakeLink, tmp_path: Path) -> None:
    """Where the server listens on one."""
    server = Valkey(tmp_path / "valkey", unixsocket=str(tmp_path / "r.sock"))
    server.start()
    try:
        link = make(f"redis+unix://{tmp_path}/r.sock")
        assert await link.run(ADD, [KEY], [1]) == 1
        await link.wait(["a"], 0)
        with pytest.raises(BackendUnavailable, match="no such file"):
            await make(f"redis+unix://{tmp_path}/other.sock").open()
    finally:
        server.stop()
