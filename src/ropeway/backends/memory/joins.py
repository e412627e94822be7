"""Joins: sets of members that publish something when they are complete."""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct, field

from ropeway.clock import Clock
from ropeway.message import Message
from ropeway.transition import FIRED_KEPT, OPEN_KEPT, Arrive, Join, Transition


class _State(Struct):
    """One join as it is now; `need` is None until it is made."""

    need: int | None = None
    then: tuple[Message, ...] = ()
    members: set[str] = field(default_factory=set)
    fired: bool = False
    purge: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether as many have arrived as it needs."""
        return self.need is not None and len(self.members) >= self.need


class Joins:
    """What `join` and `arrive` write."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[str, _State] = defaultdict(_State)

    def apply(self, transition: Transition) -> dict[str, tuple[Message, ...]]:
        """Make joins and count members in; return what is to be published for each that fires."""
        fired: dict[str, tuple[Message, ...]] = {}
        for join in transition.join:
            self._make(join)
            fired |= self._fire(join.name)
        for arrive in transition.arrive:
            self._arrive(arrive)
            fired |= self._fire(arrive.join)
        return fired

    def prune(self, limit: int) -> int:
        """Forget at most `limit` joins whose time is over; return how many."""
        now = self._clock.now()
        over = [name for name, state in self._states.items() if state.purge <= now][:limit]
        for name in over:
            del self._states[name]
        return len(over)

    def _make(self, join: Join) -> None:
        state = self._states[join.name]
        if state.fired:
            return
        if state.need is None:
            state.need, state.then = join.need, join.then
        state.need = max(state.need, join.need)
        state.purge = self._clock.now() + OPEN_KEPT

    def _arrive(self, arrive: Arrive) -> None:
        state = self._states[arrive.join]
        if state.fired:
            return
        state.members.add(arrive.member)
        state.purge = state.purge or self._clock.now() + OPEN_KEPT

    def _fire(self, name: str) -> dict[str, tuple[Message, ...]]:
        state = self._states[name]
        if state.fired or not state.complete:
            return {}
        state.fired, state.purge = True, self._clock.now() + FIRED_KEPT
        return {name: state.then}
