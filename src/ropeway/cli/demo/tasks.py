"""The tasks of the demo, as a worker imports them: `ropeway worker ropeway.cli.demo.tasks:app`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from msgspec import Struct

from ropeway import Ropeway, current
from ropeway.cli.demo import witness
from ropeway.cli.demo.graph import friends

app = Ropeway()


class Suggestion(Struct, frozen=True):
    """A member whom another may know, with the friends they share and the chains between them.

    A chain is a friend of the one who is a friend of a friend of the other.
    """

    member: int
    mutual: int
    chains: int


@app.task
def suggest(member: int, top: int = 5) -> list[Suggestion]:
    """Rank the friends of friends who are not friends yet: most mutual friends first.

    Where these are equal, more chains first, then the lower number.
    """
    _leave_trace()
    one = _onward({member: 1})
    two = _onward(one)
    three = _onward(two)
    strangers = two.keys() - one.keys() - {member}
    found = [Suggestion(other, two[other], three[other]) for other in strangers]
    return sorted(found, key=lambda it: (-it.mutual, -it.chains, it.member))[:top]


@app.task
async def mutual(a: int, b: int) -> list[int]:
    """Return the friends that two members share, in order."""
    _leave_trace()
    return sorted(friends()[a] & friends()[b])


def _leave_trace() -> None:
    # Called first in each task, so that a call which was started and killed is seen too; a task
    # that is called as a plain function belongs to no job and leaves nothing.
    if witness.wanted():
        witness.note(current.job_id, current.attempt)


def _onward(ways: Mapping[int, int]) -> dict[int, int]:
    """Go one step further: in how many ways is each member reached from those reached so far."""
    further: defaultdict[int, int] = defaultdict(int)
    for member, count in ways.items():
        for friend in friends()[member]:
            further[friend] += count
    return further
