"""URLs of Redis: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pytest

from ropeway.backends.redis.address import Address, parse
from ropeway.backends.redis.dialling import refuse_unusable
from ropeway.errors import BackendUnavailable, ConfigError
from ropeway.locations import Host, Login, Tls

GOOD = {
    "redis://": Address(kind="server", hosts=(Host("localhost", 6379),)),
    "redis://cache:7000/3?namespace=jobs": Address(
        kind="server", hosts=(Host("cache", 7000),), database=3, namespace="jobs"
    ),
    "redis://me:p%40ss%2F@cache": Address(
        kind="server", hosts=(Host("cache", 6379),), login=Login("me", "p@ss/")
    ),
    "redis://:secret@[::1]:7000/0": Address(
        kind="server", hosts=(Host("::1", 7000),), login=Login("", "secret")
    ),
    "rediss://cache?ca=/a.pem&cert=/b.pem&key=/c.pem": Address(
        kind="server", hosts=(Host("cache", 6379),), tls=Tls("/a.pem", "/b.pem", "/c.pem")
    ),
    "redis+unix:///run/redis.sock": Address(kind="server", hosts=(Host("/run/redis.sock"),)),
    "redis+sentinel://:pw@a,b:7000/mymaster/2?sentinel_password=other": Address(
        kind="sentinel",
        hosts=(Host("a", 26_379), Host("b", 7000)),
        login=Login("", "pw"),
        sentinel_login=Login("", "other"),
        master="mymaster",
        database=2,
    ),
    "rediss+cluster://a,b:7000?replicas=1&timeout=2s": Address(
        kind="cluster",
        hosts=(Host("a", 6379), Host("b", 7000)),
        tls=Tls(),
        replicas=1,
        timeout=2.0,
    ),
}

BAD = {
    "redis://:hunter2@a,b": "names 2 hosts",
    "redis://:hunter2@a:70000": "no host",
    "redis://:hunter2@a:b:c": "no host",
    "redis://:hunter2@a/x": "no number of a database",
    "redis://:hunter2@a/0?colour=red": "no option 'colour'",
    "redis://:hunter2@a/0?ca=/a.pem": "no option 'ca'",
    "rediss://:hunter2@a/0?cert=/a.pem": "belong together",
    "redis://:hunter2@a/0?namespace=a%20b": "namespace='a b'",
    "redis://:hunter2@a/0?namespace=": "namespace=''",
    "redis://:hunter2@a/0?timeout=1h": "timeout='1h'",
    "redis://:hunter2@a/0?replicas=many": "replicas='many'",
    "redis://:hunter2@a/0?unsafe=perhaps": "unsafe='perhaps'",
    "redis+unix://:hunter2@host": "names no socket",
    "redis+sentinel://:hunter2@a": "which master",
    "redis+cluster://:hunter2@a/1": "one database",
    "redis://:hunter2@[::1": "no URL of a Redis server",
    "http://:hunter2@a": "no URL of a Redis server",
}


@pytest.mark.parametrize("url", GOOD)
def test_a_url_says_where_and_how(url: str) -> None:
    """Every part of it arrives, and what it leaves out has a default."""
    assert parse(url) == GOOD[url]


@pytest.mark.parametrize("url", BAD)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    """The error names the part, says what to write, and can be shown to anybody."""
    with pytest.raises(ConfigError, match=BAD[url]) as caught:
        parse(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.hint


def test_passwords_are_not_printed() -> None:
    """Neither by the address nor by anything that prints it."""
    address = parse("redis+sentinel://me:hunter2@a/m?sentinel_password=hunter3")
    assert "hunter" not in repr(address)


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        ({"server": "redis", "version": "6.2.14"}, "redis 6.2.14, which is too old"),
        ({"server": "valkey", "version": "7.2.5"}, "valkey 7.2.5, which is too old"),
        ({"server": "redis", "version": "7.0.15", "role": "replica"}, "is a replica"),
        ({"server": "redis", "version": "7.0.15", "mode": "sentinel"}, "is a Sentinel"),
        ({"server": "redis", "version": "7.0.15", "mode": "cluster"}, "part of a cluster"),
        ({"server": "redis", "version": "7.0.15", "role": "master"}, ""),
        ({"server": "redis", "version": "10.1", "role": "master"}, ""),
        ({"server": "valkey", "version": "8.0.1", "role": "master"}, ""),
        ({"server": "another", "version": "unstable", "role": "master"}, ""),
    ],
)
def test_a_server_that_cannot_be_used_is_refused(greeting: dict[str, str], told: str) -> None:
    """One that is too old, no master, or of another kind than the URL says."""
    address, host = parse("redis://"), Host("h", 6379)
    if not told:
        refuse_unusable(address, host, greeting)
        return
    with pytest.raises(BackendUnavailable, match=told) as caught:
        refuse_unusable(address, host, greeting)
    assert caught.value.hint
