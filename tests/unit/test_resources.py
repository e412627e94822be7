"""Where calls wait that need something, and what of it a worker has left."""

from __future__ import annotations

import pytest

from ropeway.claims import Claim
from ropeway.message import Delivery, Fence, Message
from ropeway.resources import fits, is_usable, queue_for, read, split
from ropeway.worker.offers import Offers


@pytest.mark.parametrize(
    ("queue", "needs"),
    [
        ("images", ()),
        ("images", (("gpu", 1),)),
        ("a[b]", (("gpu", 2), ("ram-gb", 16))),
        ("a\nb", (("x.y_z", 1),)),
    ],
)
def test_a_queue_says_what_its_calls_need(queue: str, needs: tuple[tuple[str, int], ...]) -> None:
    """In one way, whatever the order in which it is said."""
    assert split(queue_for(queue, needs)) == (queue, needs)
    assert queue_for(queue, needs[::-1]) == queue_for(queue, needs)


@pytest.mark.parametrize("queue", ["a[b]", "a[gpu=0]", "[gpu=1]", "a[gpu=1", "a[1=1]", "a[gpu=01]"])
def test_other_names_need_nothing(queue: str) -> None:
    """They are names of queues as any."""
    assert split(queue) == (queue, ())


@pytest.mark.parametrize("text", ["gpu", "gpu=", "gpu=x", "=1", "gpu=0", "gpu=-1", "g pu=1"])
def test_what_is_no_amount(text: str) -> None:
    """Neither to offer nor to need."""
    with pytest.raises(ValueError, match=r".*"):
        read(text)
    name, _, amount = text.partition("=")
    assert not is_usable(name, amount)
    assert not is_usable("gpu", True)


def test_what_fits() -> None:
    """Everything that is needed, at once."""
    assert fits((), {})
    assert fits((("gpu", 2),), {"gpu": 2, "ram": 1})
    assert not fits((("gpu", 2), ("ram", 2)), {"gpu": 2, "ram": 1})


def claimed(queue: str, n: int) -> Delivery:
    return Delivery(
        message=Message(id=f"j{n}", task="t", queue=queue), fence=Fence(f"j{n}", 1, "h")
    )


def test_no_more_is_asked_for_than_is_left() -> None:
    """Counted over all queues that need it, from the claim to the answer to the settle."""
    offers, freed = Offers({"gpu": 4}), list[int]()
    offers.on_free = lambda: freed.append(1)
    one, two, plain = Claim("a[gpu=1]", 10), Claim("a[gpu=2]", 10), Claim("a", 10)
    assert offers.cut([plain, two, one]) == [plain, Claim("a[gpu=2]", 2)]
    assert offers.short
    offers.take(claimed("a[gpu=2]", 1))
    offers.take(claimed("a", 2))
    assert offers.cut([plain, one]) == [plain, Claim("a[gpu=1]", 2)]
    offers.take(claimed("a[gpu=1]", 3))
    assert offers.cut([Claim("a[gpu=2]", 1)]) == []
    assert freed == []
    offers.give(Fence("j1", 1, "h"))
    offers.give(Fence("j1", 1, "h"))
    assert freed == [1]
    assert offers.cut([Claim("a[gpu=1]", 3)]) == [Claim("a[gpu=1]", 3)]
    assert not offers.short


def test_a_worker_that_offers_nothing_cuts_nothing() -> None:
    """It does not look where something is needed."""
    offers = Offers()
    assert offers.serves("a")
    assert not offers.serves("a[gpu=1]")
    assert offers.cut([Claim("a", 3)]) == [Claim("a", 3)]
