"""The network between a client and a server breaks in the way that is wanted, and no other."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from chaos.proxy import HOST, Proxy

_SOON = 0.3


@pytest.fixture
def echo() -> Iterator[int]:
    """Return the port of a server that says again what it hears."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=repeat, args=(connection,), daemon=True).start()

        def repeat(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(65_536):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """Return a proxy with two lanes to it."""
    made = Proxy(echo, 2)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """Return a connection by the first lane, which works."""
    with _dial(proxy, 0) as connection:
        assert _ask(connection) == b"ping"
        yield connection


def _dial(proxy: Proxy, number: int) -> socket.socket:
    return socket.create_connection((HOST, proxy.port(number)), 5)


def _ask(connection: socket.socket, text: bytes = b"ping", patience: float = 5.0) -> bytes:
    connection.settimeout(patience)
    connection.sendall(text)
    return connection.recv(65_536)


def _silent(connection: socket.socket) -> bool:
    try:
        _ask(connection, patience=_SOON)
    except TimeoutError:
        return True
    return False


def test_a_cut_resets_what_is_there(proxy: Proxy, client: socket.socket) -> None:
    """And new connections work."""
    proxy.cut(proxy.every())
    with pytest.raises(ConnectionResetError):
        _ask(client)
    with _dial(proxy, 0) as other:
        assert _ask(other) == b"ping"


def test_a_deaf_connection_never_says_anything_again(proxy: Proxy, client: socket.socket) -> None:
    """Not even when all is well; and new connections work."""
    proxy.deafen(proxy.every())
    assert _silent(client)
    proxy.open()
    assert _silent(client)
    with _dial(proxy, 0) as other:
        assert _ask(other) == b"ping"


def test_what_is_held_comes_later(proxy: Proxy, client: socket.socket) -> None:
    """Of the connections that were there, and of those that were made meanwhile."""
    proxy.close(proxy.every(), "held")
    with _dial(proxy, 0) as other:
        assert _silent(client)
        assert _silent(other)
        proxy.open()
        client.settimeout(5)
        other.settimeout(5)
        assert (client.recv(64), other.recv(64)) == (b"ping", b"ping")


def test_what_is_swallowed_never_comes(proxy: Proxy, client: socket.socket) -> None:
    """Of one lane only; when it is open again new connections work."""
    proxy.close(proxy.one(0.1), "swallowed")
    with _dial(proxy, 0) as other, _dial(proxy, 1) as neighbour:
        assert _ask(neighbour) == b"ping"
        assert _silent(client)
        assert _silent(other)
        proxy.open()
        assert _silent(client)
        assert _silent(other)
    with _dial(proxy, 0) as new:
        assert _ask(new) == b"ping"


def test_half_an_answer_and_a_reset(proxy: Proxy, client: socket.socket) -> None:
    """What the server did it has done; the client does not hear of it."""
    proxy.lose_answers(proxy.every(), 1.0)
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        heard = _ask(client, b"a long answer")
    assert len(heard) <= 6
    with pytest.raises(ConnectionResetError):
        _ask(client)


def test_a_slow_network(proxy: Proxy, client: socket.socket) -> None:
    """Each way takes its time."""
    proxy.slow(proxy.every(), _SOON)
    assert _silent(client)
    proxy.open()
    client.settimeout(5)
    assert client.recv(64) == b"ping"


def test_a_server_that_is_away() -> None:
    """Whoever connects is turned away."""
    lost = Proxy(1, 1)
    lost.start()
    try:
        with pytest.raises(ConnectionResetError), _dial(lost, 0) as connection:
            _ask(connection)
            _ask(connection)
    finally:
        lost.stop()
