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


ALL = ["a", "a[gpu=1]", "a[gpu=2]"]


def claimed(queue: str, n: int) -> Delivery:
    return Delivery(
        message=Message(id=f"j{n}", task="t", queue=queue), fence=Fence(f"j{n}", 1, "h")
    )


def test_no_more_is_asked_for_than_is_left() -> None:
    """Counted over all queues that need it, from the claim to the answer to the settle."""
    offers, freed = Offers({"gpu": 4}), list[int]()
    offers.on_free = lambda: freed.append(1)
    one, two, plain = Claim("a[gpu=1]", 10), Claim("a[gpu=2]", 10), Claim("a", 10)
    assert offers.cut([plain, two, one], ALL) == [plain, Claim("a[gpu=2]", 2)]
    assert offers.short
    offers.take(claimed("a[gpu=2]", 1))
    offers.take(claimed("a", 2))
    assert offers.cut([plain, one], ALL) == [plain, Claim("a[gpu=1]", 2)]
    offers.take(claimed("a[gpu=1]", 3))
    assert offers.cut([Claim("a[gpu=2]", 1)], ALL) == []
    assert freed == []
    offers.give(Fence("j1", 1, "h"))
    offers.give(Fence("j1", 1, "h"))
    assert freed == [1]
    assert offers.cut([Claim("a[gpu=1]", 3)], ALL) == [Claim("a[gpu=1]", 3)]
    assert not offers.short


def test_a_worker_that_offers_nothing_cuts_nothing() -> None:
    """It does not look where something is needed."""
    offers = Offers()
    assert offers.serves("a")
    assert not offers.serves("a[gpu=1]")
    assert offers.cut([Claim("a", 3)], ["a"]) == [Claim("a", 3)]


def test_what_is_free_is_kept_for_whose_turn_it_was() -> None:
    """One that needs all is not passed by for ever; while it waits, others that need it wait too."""
    offers = Offers({"gpu": 2, "tape": 1})
    small, large, other = Claim("a[gpu=1]", 1), Claim("a[gpu=2]", 1), Claim("b[tape=1]", 1)
    queues = [each.queue for each in (small, large, other)]
    offers.take(claimed("a[gpu=1]", 1))
    assert offers.cut([large, small], queues) == [small]  # nothing is due there, as far as is known
    offers.look(["a[gpu=2]"])
    assert offers.cut([large, small, other], queues) == [other]
    assert offers.cut([small, other], queues) == [other]  # also when it is not asked for this time
    offers.give(Fence("j1", 1, "h"))
    assert offers.cut([small, large], queues) == [large]
    assert offers.cut([small, large], queues) == [small]
    # What was asked for in vain is kept for nobody until the next look.
    offers.take(claimed("a[gpu=1]", 2))
    assert offers.cut([large, small], queues) == [small]


def test_nothing_is_kept_for_a_queue_that_is_paused() -> None:
    """It is not among those that are served."""
    offers = Offers({"gpu": 2})
    offers.look(["a[gpu=2]"])
    offers.take(claimed("a[gpu=1]", 1))
    small, large = Claim("a[gpu=1]", 1), Claim("a[gpu=2]", 1)
    assert offers.cut([large, small], ["a[gpu=1]", "a[gpu=2]"]) == []
    assert offers.cut([small], ["a[gpu=1]"]) == [small]


def test_kinds_do_not_take_it_from_each_other() -> None:
    """What is there is asked for once, for whichever kind has something."""
    loop, threads = Claim("a[gpu=1]", 5, kinds=("loop",)), Claim("a[gpu=1]", 3, kinds=("threads",))
    plain = [Claim("a", 5, kinds=("loop",)), Claim("a", 3, kinds=("threads",))]
    both = Claim("a[gpu=1]", 3, kinds=("threads", "loop"))
    assert Offers({"gpu": 9}).cut([*plain, loop, threads], ALL) == [*plain, both]
