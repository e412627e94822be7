"""What a worker asks for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ropeway.claims import AGEING, Limit, Meter, next_turn, plan_claims, serves

queue_lists = st.lists(st.text(max_size=3), unique=True, max_size=12)


@given(queue_lists, st.data(), st.integers(-5, 300), st.integers(0, 1000))
def test_every_queue_is_asked_once(
    queues: list[str], data: st.DataObject, n: int, turn: int
) -> None:
    """With room, each queue has one claim for one message at least; without, there is none."""
    empty = frozenset(data.draw(st.lists(st.sampled_from(queues)))) if queues else frozenset()
    claims = plan_claims(queues, empty, n, turn)
    if n <= 0:
        assert claims == []
        return
    assert len(claims) == min(n, len(queues))
    assert {claim.queue for claim in claims} <= set(queues)
    assert all(claim.n >= 1 for claim in claims)
    assert sum(claim.n for claim in claims) <= n
    assert all((claim.lowest, claim.highest) == (0, 9) for claim in claims)


@given(queue_lists, st.integers(12, 300), st.integers(0, 1000))
def test_busy_queues_share_equally(queues: list[str], n: int, turn: int) -> None:
    """The shares of queues that hold work are the same, and together no more than `n`."""
    claims = plan_claims(queues, frozenset(), n, turn)
    assert len({claim.n for claim in claims}) <= 1
    assert sum(claim.n for claim in claims) <= n


def test_an_empty_queue_is_asked_for_a_little() -> None:
    """It takes no share from the busy ones, and is noticed when it fills."""
    claims = plan_claims(["a", "b", "c"], frozenset({"b"}), 80, 0)
    assert {claim.queue: claim.n for claim in claims} == {"a": 38, "b": 3, "c": 38}
    claims = plan_claims(["a", "b"], frozenset({"a", "b"}), 80, 0)
    assert {claim.queue: claim.n for claim in claims} == {"a": 40, "b": 40}


@given(queue_lists.filter(bool), st.integers(1, 300), st.integers(0, 1000))
def test_every_queue_comes_first_in_its_turn(queues: list[str], n: int, turn: int) -> None:
    """The order of the queues is kept, starting at the next one each turn."""
    asked = [claim.queue for claim in plan_claims(queues, frozenset(), n, turn)]
    start = queues.index(asked[0])
    assert start == turn % len(queues)
    assert asked == (queues[start:] + queues[:start])[: len(asked)]


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 2000), min_size=1), st.floats(500, 1500))
def test_turns_go_by_rank(heads: dict[int, float], now: float) -> None:
    """The band whose first message has the best rank is next, up to where another would be."""
    turn = next_turn(heads, now)
    due = {band: head for band, head in heads.items() if head <= now}
    if turn is None:
        assert not due
        return
    band, until = turn
    assert heads[band] <= until <= now

    def rank(other: int, place: float) -> float:
        return place - AGEING * other

    assert all(rank(band, heads[band]) <= rank(other, head) for other, head in due.items())
    others = [rank(other, head) for other, head in due.items() if other != band]
    assert rank(band, until) <= min(others, default=now) + 1e-6


def test_equal_ranks_go_to_the_higher_band() -> None:
    """It is first, and the lower one waits until nothing of it has the same rank."""
    heads = {4: 100.0, 5: 100.0 + AGEING}
    assert next_turn(heads, 1000.0) == (5, 100.0 + AGEING)
    band, until = next_turn({4: 99.0, 5: 100.0 + AGEING}, 1000.0) or (0, 0.0)
    assert (band, until < 100.0) == (4, True)


@given(
    st.floats(0.01, 1000), st.integers(1, 20), st.lists(st.floats(0, 500), min_size=1, max_size=60)
)
def test_a_meter_lets_no_more_pass(rate: float, burst: int, pauses: list[float]) -> None:
    """In any time no more than its rate and one burst pass, and one passes when it says so."""
    now = start = 1_800_000_000.0
    meter, passed = Meter(Limit(name="l", rate=rate, burst=burst)), 0
    for pause in pauses:
        room = meter.room(now)
        assert room is not None
        for _ in range(room):
            meter = replace(meter, spent=meter.after_one(now))
        passed += room
        assert passed <= burst + (now - start) * rate + 0.01 + 1e-4 * rate * len(pauses)
        assert meter.room(now) == 0
        assert (meter.room(meter.room_at(now) + 1e-5) or 0) >= 1
        now += pause


def test_a_meter_outlives_a_date_that_is_set_back() -> None:
    """Nobody waits for longer than a burst takes, whatever was spent in the future."""
    meter = Meter(Limit(name="l", rate=1.0, burst=3), spent=9e9)
    assert meter.room(1000.0) == 0
    assert meter.room_at(1000.0) == 1001.0


@pytest.mark.parametrize("wrong", [{"in_flight": -1}, {"rate": 0.0}, {"burst": 0}])
def test_a_limit_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    """It is refused where it is made."""
    with pytest.raises(ValueError, match="limit 'l'"):
        Limit(name="l", **wrong)


@pytest.mark.parametrize(
    ("wanted", "queue", "served"),
    [
        (None, "any", True),
        (["a", "b"], "b", True),
        (["a", "b"], "ab", False),
        (["mail.*"], "mail.eu", True),
        (["mail.*"], "mail", False),
        (["mail.*"], "e-mail.eu", False),
        (["*"], "a\nb", True),
        (["a*c"], "abc", True),
        (["a.c"], "abc", False),
        (["[ab]"], "a", False),
        ([], "a", False),
    ],
)
def test_the_queues_that_are_served(wanted: list[str] | None, queue: str, served: bool) -> None:
    """A name is itself, and a star any text; nothing else in a name has a meaning."""
    assert serves(wanted, queue) is served
