"""How many messages of which kinds a worker asks for: as many as it has places for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ropeway.message import KINDS, Kind

DETOUR_PAUSE = 0.1
"""Seconds for which a kind is not asked for after it has brought what had no place."""

Wanted = dict[tuple[Kind, ...], int]
"""How many messages to ask for that have any of these kinds."""


class Asking:
    """Knows which places the messages of each kind need: `home` are the kinds of the own tasks.

    A message has the kind that its sender saw. It needs a place of that kind, except where the
    worker's own code says otherwise. When it has no task of a kind, or the last messages of a kind
    needed other places, it asks for no more of them than these have room for.
    """

    def __init__(self, home: frozenset[Kind]) -> None:
        self._own = {kind: frozenset({kind}) & home for kind in KINDS}
        self._needs = {kind: self._own[kind] or home or frozenset(KINDS) for kind in KINDS}
        self._resumed = dict.fromkeys(KINDS, 0.0)
        self._came = frozenset[Kind]()

    def wanted(self, room: Mapping[Kind, int], most: int, now: float) -> Wanted:
        """Return what to ask for, about `most` in all; what shares places is asked for at once.

        `now` is on any clock that does not jump.
        """
        found: Wanted = {}
        for needs in dict.fromkeys(self._needs.values()):
            kinds = tuple(
                kind for kind in KINDS if self._needs[kind] == needs and self._resumed[kind] <= now
            )
            rooms = [room.get(kind, 0) for kind in needs]
            # One at a time where some of them may have no place: it tells what the next ones need.
            n = min(rooms) or min(1, max(rooms))
            if kinds and n > 0:
                found[kinds] = n
        return self._share(found, most) if most > 0 else {}

    def _share(self, wanted: Wanted, most: int) -> Wanted:
        """Cut down what is too much; what brought nothing the last time keeps a chance beside it."""
        if sum(wanted.values()) <= most:
            return wanted
        came = {kinds for kinds in wanted if self._came.intersection(kinds)} or set(wanted)
        probe = max(1, most // 64)
        found = {kinds: n if kinds in came else min(n, probe) for kinds, n in wanted.items()}
        total = max(most, sum(found[kinds] for kinds in came))
        return found | {kinds: max(1, found[kinds] * most // total) for kinds in came}

    def covers_all(self, wanted: Wanted) -> bool:
        """Whether a message of any kind would be among what is `wanted`."""
        return sum(map(len, wanted)) == len(KINDS)

    def note(self, came: Iterable[Kind]) -> None:
        """Take note of the kinds of all that came."""
        self._came = frozenset(came)

    def learn(
        self, needed: Iterable[tuple[Kind, Kind]], displaced: Iterable[Kind], now: float
    ) -> None:
        """Take note of which places messages needed, by their kind, and which kinds found none."""
        seen: dict[Kind, set[Kind]] = {}
        for kind, place in needed:
            seen.setdefault(kind, set()).add(place)
        self._needs |= {kind: self._own[kind] | places for kind, places in seen.items()}
        self._resumed |= dict.fromkeys(displaced, now + DETOUR_PAUSE)
