"""The page of capabilities says of each place and each pair what its code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropeway import Ropeway, capabilities
from ropeway.cli.checks.abilities import in_words
from ropeway.connect import Connection
from ropeway.errors import RopewayError, Unsupported
from tests.docs import pages

PAGE = "docs/reference/capabilities.md"
NAMES = capabilities.Capabilities.__struct_fields__
URLS = {
    "sqlite://": "sqlite:///jobs.db",
    "postgresql://": "postgresql://host/jobs",
    "redis://": "redis://host",
    "memory://": "memory://",
    "amqp://": "amqp://host",
}
STORES = ("sqlite://", "postgresql://", "redis://")
PAIRS = [(broker, store) for broker in ("amqp://", *STORES) for store in STORES]


def row(place: str, found: capabilities.Capabilities) -> str:
    """Return the line of a place in the table."""
    cells = ["yes" if getattr(found, name) else "no" for name in NAMES]
    return f"| {' | '.join([place, *cells])} |"


def of(store: str, broker: str = "") -> capabilities.Capabilities:
    """Return what an app has there; nothing is opened."""
    return Connection(URLS[store], broker=URLS.get(broker, "")).blocking().capabilities


def test_every_place_and_every_pair() -> None:
    """The table is what the code declares, line by line."""
    rows = [row(f"`{name}`", of(name)) for name in (*STORES, "memory://", "amqp://")]
    rows += [row(f"`{broker}` and `{store}`", of(store, broker)) for broker, store in PAIRS]
    text = pages.page(PAGE)
    head = f"| Place | {' | '.join(f'`{name}`' for name in NAMES)} |"
    table = text[text.index(head) :].split("\n\n")[0].splitlines()[2:]
    assert table == rows


@pytest.mark.parametrize(
    ("settings", "feature"),
    [
        ({"url": "sqlite:///a.db", "broker": "sqlite:///b.db"}, "a unique call"),
        ({"url": "sqlite:///a.db"}, "a send in your own transaction"),
        ({"url": "amqp://host"}, "a unique call"),
    ],
)
def test_refusals_name_the_feature_and_the_remedy(
    settings: dict[str, str], feature: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is stored, or done with less."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unsupported) as error:
        _refused(settings, feature)
    assert feature in error.value.fact
    assert error.value.hint


def _refused(settings: dict[str, str], feature: str) -> None:
    app = Ropeway(**settings)  # type: ignore[arg-type]  # settings of one type
    task = app.task(named)
    if "transaction" in feature:
        task.using(connection=_Psycopg()).send()
    else:
        task.using(unique=True).send()


def named() -> None:
    """Do nothing."""


class _Psycopg:
    """What a connection of psycopg is known by."""


_Psycopg.__module__, _Psycopg.__name__ = "psycopg", "Connection"


def test_in_words() -> None:
    """As doctor says it."""
    assert in_words(of("sqlite://")) == (
        "broker, store, atomic, durable, search, shared, recorded; not joint"
    )
    assert in_words(of("postgresql://")).endswith("recorded, joint")
    assert issubclass(Unsupported, RopewayError)
