"""Results of nodes that this worker has just settled: what needs them is fed without asking anybody."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import NamedTuple

from msgspec.structs import replace

from ropeway.graph import ITEMS, Place, node_id
from ropeway.message import Delivery
from ropeway.reference import reference_of
from ropeway.runs.feeding import filled, run_in_place
from ropeway.states import State
from ropeway.transition import Finish, Transition

_MOST, _LARGEST, _LONGEST = 512, 16_384, 5.0
"""Results that are remembered, bytes of each, and seconds for which they are."""


class _Result(NamedTuple):
    value: bytes
    until: float


class Fresh:
    """What has succeeded here a moment ago, by job and turn: within a turn a node ends only once."""

    def __init__(self) -> None:
        self._results: OrderedDict[tuple[str, str], _Result] = OrderedDict()

    def note(self, transition: Transition) -> None:
        """Remember the result of what was settled, if it is a node that others may be fed with.

        Of an item of a map nobody is: all items are read together, by what comes after the last.
        """
        settle, fence = transition.settle, transition.fence
        if not transition.arrive or fence is None:
            return
        if not isinstance(settle, Finish) or settle.state is not State.SUCCEEDED:
            return
        if transition.arrive[0].join.endswith(ITEMS):
            return
        value = b"null" if settle.value is None else settle.value
        if len(value) > _LARGEST or run_in_place(value) or reference_of(value) is not None:
            return
        turn = _turn(transition.arrive[0].join.rpartition("/")[2])
        self._results[fence.id, turn] = _Result(value, time.monotonic() + _LONGEST)
        if len(self._results) > _MOST:
            self._results.popitem(last=False)

    def fed(self, delivery: Delivery) -> Delivery:
        """Return it with its arguments complete where all that it needs is remembered, else as it is.

        The process that runs it looks for what is still needed.
        """
        message = delivery.message
        terms = message.terms
        if not self._results or terms is None or terms.node is None:
            return delivery
        place = terms.node
        if not place.needs or reference_of(message.body) is not None:
            return delivery
        values = self._values(place)
        if not values:
            return delivery
        body = message.body
        if place.uses:
            body = filled(body, {use: values[use.node] for use in place.uses})
        whole = replace(terms, node=replace(place, needs=(), uses=()))
        return replace(delivery, message=replace(message, body=body, terms=whole))

    def _values(self, place: Place) -> dict[int, bytes]:
        """Return the results that a node needs by their nodes; nothing if any of them is not here."""
        found: dict[int, bytes] = {}
        if not place.next or "/" in place.next[0]:
            return found
        turn, now = _turn(place.next[0]), time.monotonic()
        for need in place.needs:
            result = self._results.get((node_id(place.run, need.node), turn))
            if need.rule != "ok" or need.item or result is None or result.until < now:
                return {}
            found[need.node] = result.value
        return {} if any(use.many or use.node not in found for use in place.uses) else found


def _turn(join: str) -> str:
    return join.partition(".")[0]
