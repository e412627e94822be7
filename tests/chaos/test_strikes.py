"""Each way to strike a server is felt by its clients, and is over when it is over."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.places.database import Database, kill_all
from chaos.places.postgres import PostgresDatabase
from chaos.places.redis import RedisDatabase
from chaos.places.servers import ServerPlace
from chaos.places.strikes import KINDS
from tests.conftest import Eventually
from tests.servers.postgres import programs
from tests.servers.process import Missing, plain

_SOON = 1.0


def _asked(place: ServerPlace) -> bool:
    """Whether a new client of the first worker's lane gets an answer soon."""
    url = place.worker_url(0)
    if url.startswith("redis"):
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
        from redis.retry import Retry

        client = Redis.from_url(url, socket_timeout=_SOON, retry=Retry(NoBackoff(), 0))
        with client, contextlib.suppress(RedisError):
            return bool(client.set("k", "v"))
        return False
    command = [str(programs() / "psql"), "-qAt", "-d", url, "-c", "insert into t values (1)"]
    try:
        done = subprocess.run(command, env=plain(), capture_output=True, check=False, timeout=_SOON)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _postgres(folder: Path) -> Database:
    return PostgresDatabase(folder)


def _redis(folder: Path) -> Database:
    return RedisDatabase(folder)


@pytest.fixture(params=[_postgres, _redis], ids=["postgres", "redis"])
def place(request: pytest.FixtureRequest) -> Iterator[ServerPlace]:
    """Return a running server behind a proxy."""
    make: Callable[[Path], Database] = request.param
    # Not below the folder of pytest, which lets no other user in, as which a server may run.
    with tempfile.TemporaryDirectory(prefix="strikes-") as folder:
        try:
            made = ServerPlace(make(Path(folder)), {})
        except Missing as missing:
            pytest.skip(str(missing))
        try:
            made.start()
            if isinstance(made.database, PostgresDatabase):
                made.database.sql("create table t (n int)")
            yield made
        finally:
            made.end()


def test_every_strike_is_felt_and_over(place: ServerPlace, eventually: Eventually) -> None:
    """Those that last keep a new client of that lane from its answer; none does afterwards."""
    for name, kind in KINDS.items():
        eventually(lambda: _asked(place), timeout=20)
        kind.strike(place, 0.0)
        if kind.lasts:
            assert not _asked(place), name
        kind.heal(place, 0.0)
        eventually(lambda: _asked(place), timeout=20)


def test_a_locked_server_takes_nothing(place: ServerPlace, eventually: Eventually) -> None:
    """Until it is unlocked, which may be done again."""
    eventually(place.database.lock, timeout=20)
    assert not _asked(place)
    place.database.unlock()
    place.database.unlock()
    eventually(lambda: _asked(place), timeout=20)


def test_what_it_keeps_is_sound_after_a_kill(place: ServerPlace, eventually: Eventually) -> None:
    """It is started once more for that."""
    eventually(lambda: _asked(place), timeout=20)
    kill_all(place.database.server)
    place.start()
    assert place.database.damage() == ""
    eventually(lambda: _asked(place), timeout=20)
