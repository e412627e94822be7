"""The ways in which a server, or the network to it, is struck."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chaos.places.servers import ServerPlace

_SLOW = 0.1
"""Seconds that whatever passes takes on a slow network."""

_LOST = 0.1
"""The share of answers that are lost where some are."""

Do = Callable[[ServerPlace, float], object]


class Kind(NamedTuple):
    """How a server or its network is struck, and how that ends; `draw` from 0 to 1 chooses.

    A strike that returns False is impossible now. `lasts`: until the end nobody
    in the lanes that are struck gets an answer. `whole`: all lanes are.
    """

    strike: Do
    heal: Do = lambda _place, _draw: None
    lasts: bool = True
    whole: bool = True


def _start(place: ServerPlace, _: float) -> None:
    place.database.start()


def _open(place: ServerPlace, _: float) -> None:
    place.proxy.open()


KINDS: dict[str, Kind] = {
    "server killed": Kind(lambda place, _: place.kill(), _start),
    "server shut down": Kind(lambda place, _: place.database.shut_down(), _start),
    "server stopped": Kind(lambda place, _: place.freeze(), lambda place, _: place.thaw()),
    "server hurt": Kind(
        lambda place, draw: place.database.hurt(draw),
        lambda place, _: place.database.recover(),
        lasts=False,
    ),
    "sessions ended": Kind(lambda place, _: place.database.end_sessions(), lasts=False),
    "network cut": Kind(lambda place, _: place.proxy.cut(place.proxy.every()), lasts=False),
    "network deaf": Kind(lambda place, _: place.proxy.deafen(place.proxy.every()), lasts=False),
    "network held": Kind(lambda place, _: place.proxy.close(place.proxy.every(), "held"), _open),
    "network gone": Kind(
        lambda place, _: place.proxy.close(place.proxy.every(), "swallowed"), _open
    ),
    "lane gone": Kind(
        lambda place, draw: place.proxy.close(place.proxy.one(draw), "swallowed"),
        _open,
        whole=False,
    ),
    "network slow": Kind(
        lambda place, _: place.proxy.slow(place.proxy.every(), _SLOW),
        _open,
        lasts=False,
        whole=False,
    ),
    "answers lost": Kind(
        lambda place, _: place.proxy.lose_answers(place.proxy.every(), _LOST),
        _open,
        lasts=False,
        whole=False,
    ),
}
