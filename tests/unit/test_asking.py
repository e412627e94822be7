"""How many of which kinds a worker asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropeway.message import KINDS, Kind
from ropeway.worker.asking import DETOUR_PAUSE, Asking, Wanted

kinds: st.SearchStrategy[Kind] = st.sampled_from(KINDS)
homes = st.frozensets(kinds, min_size=1)
rooms = st.dictionaries(kinds, st.integers(0, 300))
pasts = st.lists(st.tuples(kinds, kinds), max_size=6)

BOTH: frozenset[Kind] = frozenset({"loop", "threads"})
ROOM: dict[Kind, int] = {"loop": 100, "threads": 8}
FULL: dict[Kind, int] = {"loop": 100, "threads": 0}


def asked(home: frozenset[Kind], room: dict[Kind, int], most: int = 200) -> Wanted:
    return Asking(home).wanted(room, most, 1.0)


def test_as_many_as_have_a_place() -> None:
    """Each kind by itself; kinds of which there is no task are taken for what there is."""
    assert asked(BOTH, ROOM) == {("threads",): 8, ("loop",): 100, ("cpu",): 8}
    assert asked(BOTH, FULL) == {("loop",): 100, ("cpu",): 1}
    assert asked(frozenset(), {"loop": 5}) == {KINDS: 1}
    assert asked(frozenset(KINDS), {**ROOM, "cpu": 2}) == {
        ("threads",): 8,
        ("loop",): 100,
        ("cpu",): 2,
    }


def test_one_kind_of_task_is_one_question() -> None:
    """Where all that may come needs the same places, one claim keeps all of it in order."""
    only: frozenset[Kind] = frozenset({"threads"})
    assert asked(only, ROOM) == {KINDS: 8}
    assert asked(only, FULL) == {}


def test_no_more_than_the_most() -> None:
    """The shares shrink alike, and no kind that has room is left out."""
    many: dict[Kind, int] = {"loop": 1000, "threads": 100, "cpu": 2}
    found = asked(frozenset(KINDS), many, most=200)
    assert found == {("threads",): 18, ("loop",): 181, ("cpu",): 1}
    assert asked(BOTH, many, most=0) == {}


def test_what_brought_nothing_gives_way() -> None:
    """Where the last messages were of one kind, it gets nearly all, and the others a chance."""
    asking = Asking(BOTH)
    asking.note(["threads"])
    many: dict[Kind, int] = {"loop": 100, "threads": 512}
    assert asking.wanted(many, 200, 1.0) == {("threads",): 200, ("loop",): 3, ("cpu",): 3}
    assert asking.wanted(ROOM, 200, 1.0) == {("threads",): 8, ("loop",): 100, ("cpu",): 8}
    asking.note([])
    assert asking.wanted(many, 200, 1.0)[("loop",)] == 28


def test_messages_that_need_another_place() -> None:
    """Of a kind whose messages turn out to run as another, only as many as both have room for."""
    asking = Asking(BOTH)
    asking.learn([("loop", "threads")], [], 1.0)
    assert asking.wanted(ROOM, 200, 1.0) == {("threads",): 8, ("loop", "cpu"): 8}
    # They may be followed by some that do not, which must not wait for a thread.
    assert asking.wanted(FULL, 200, 1.0) == {("loop", "cpu"): 1}
    asking.learn([("loop", "loop")], [], 1.0)
    assert asking.wanted(FULL, 200, 1.0) == {("loop",): 100, ("cpu",): 1}


def test_what_found_no_place_is_not_asked_for_at_once() -> None:
    """A pause, so that what cannot run here is not claimed and given back without end."""
    asking = Asking(BOTH)
    asking.learn([("loop", "threads")], ["loop"], 1.0)
    assert asking.wanted(ROOM, 200, 1.0 + DETOUR_PAUSE / 2) == {("threads",): 8, ("cpu",): 8}
    assert ("loop", "cpu") in asking.wanted(ROOM, 200, 1.1 + DETOUR_PAUSE)


@given(homes, rooms, pasts, st.integers(0, 300))
def test_never_more_than_there_is_room_for(
    home: frozenset[Kind], room: dict[Kind, int], past: list[tuple[Kind, Kind]], most: int
) -> None:
    """Nothing is asked for twice, and what needs no detour always finds a place.

    Where there is room for the own kind, that kind is asked for.
    """
    asking = Asking(home)
    asking.learn([(kind, place) for kind, place in past if place in home], [], 1.0)
    wanted = asking.wanted(room, most, 2.0)
    flat = [kind for group in wanted for kind in group]
    assert len(flat) == len(set(flat))
    assert sum(wanted.values()) <= max(most + 2 * max(1, most // 64), 3) * (most > 0)
    detours = {kind for kind, place in past if place != kind}
    for kind in home:
        if room.get(kind, 0) and most:
            assert kind in flat
        own = [n for group, n in wanted.items() if kind in group]
        if own and kind not in detours and not detours:
            assert own[0] <= room.get(kind, 0)
    assert asking.covers_all(wanted) is (set(flat) == set(KINDS))
