"""Who is charged with a death, what a call may take, and what a child holds."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropeway.message import Delivery, Fence, Kind, Message, Outcome, Terms
from ropeway.worker import memory
from ropeway.worker.blame import how_it_ended, is_unexplained, of_those_killed, verdicts
from ropeway.worker.cell import Cell
from ropeway.worker.handed import Handed
from ropeway.worker.limits import Wear, excess, far_beyond, hard_limit, overrun, worn

CULPRIT, SUSPECT = "crashed", "abandoned"


@pytest.mark.parametrize(
    ("started", "stepped", "expected"),
    [
        (set(), set(), {}),
        (set(), {1}, {}),  # what it stepped has ended in the meantime
        ({1}, {1}, {1: CULPRIT}),
        ({1}, set(), {1: CULPRIT}),  # it was alone
        ({1}, {2}, {1: CULPRIT}),
        ({1, 2}, {1}, {1: CULPRIT, 2: SUSPECT}),
        ({1, 2, 3}, {1, 3}, {1: SUSPECT, 2: SUSPECT, 3: SUSPECT}),  # one of two threads
        ({1, 2}, set(), {1: SUSPECT, 2: SUSPECT}),  # a timer, or a thread of somebody's own
        ({1, 2}, {9}, {1: SUSPECT, 2: SUSPECT}),
    ],
)
def test_who_is_charged(started: set[int], stepped: set[int], expected: dict[int, str]) -> None:
    """Whose code alone ran, or who was alone, is charged; the others that had started are suspects."""
    found = verdicts(frozenset(started), frozenset(stepped), "was killed by SIGSEGV")
    assert {slot: outcome.ending for slot, outcome in found.items()} == expected
    assert all("SIGSEGV" in each.error.message for each in found.values() if each.error)


def test_who_ran_alone_is_forgiven_what_may_have_come_from_outside() -> None:
    """It is a suspect then, as others are; what it does to itself is its own."""
    alone = frozenset({1})
    found = verdicts(alone, alone, "was killed by SIGKILL", forgiven=alone)
    assert found[1].ending == SUSPECT
    assert is_unexplained(-signal.SIGKILL, out_of_memory=False)
    assert not is_unexplained(-signal.SIGKILL, out_of_memory=True)
    assert not is_unexplained(-signal.SIGSEGV, out_of_memory=False)
    assert not is_unexplained(3, out_of_memory=False)


def test_a_child_that_is_killed_charges_the_condemned_alone() -> None:
    """Its neighbours are given back."""
    late = Outcome(ending="timed_out")
    found = of_those_killed(frozenset({1, 2}), {1: late, 7: late})
    assert found == {1: late, 2: Outcome(ending="interrupted")}


@pytest.mark.parametrize(
    ("code", "short", "words"),
    [
        (0, True, "ended with status 0"),
        (7, False, "ended with status 7"),
        (-signal.SIGSEGV, True, "was killed by SIGSEGV"),
        (-signal.SIGKILL, False, "was killed by SIGKILL"),
        (-signal.SIGKILL, True, "was killed by SIGKILL: the system was out of memory"),
        (-99, False, "was killed by signal 99"),
    ],
)
def test_an_end_in_words(code: int, short: bool, words: str) -> None:
    """The signal or the status, and the lack of memory where that explains it."""
    assert how_it_ended(code, out_of_memory=short) == words


@pytest.mark.parametrize(
    ("own", "task", "limit"),
    [
        (None, Terms(), None),
        (None, Terms(timeout=5), 15),
        (None, Terms(timeout=5, hard_timeout=6), 6),
        (None, Terms(hard_timeout=6), 6),
        (Terms(), Terms(timeout=5), 15),
        (Terms(timeout=100), Terms(timeout=5, hard_timeout=6), 110),
        (Terms(hard_timeout=3), Terms(timeout=5, hard_timeout=6), 3),
    ],
)
def test_which_hard_limit_applies(own: Terms | None, task: Terms, limit: float | None) -> None:
    """The call's, else the task's; where only a timeout is named, `grace` after that."""
    assert hard_limit(own, task, 10.0) == limit


@pytest.mark.parametrize(
    ("limit", "ran", "over"), [(None, 9e9, False), (2, 1.9, False), (2, 2, True)]
)
def test_the_hard_limit(limit: float | None, ran: float, over: bool) -> None:
    """A call that has run for longer is timed out, in words that say so."""
    outcome = overrun(limit, ran)
    assert (outcome is not None) is over
    if outcome is not None and outcome.error is not None:
        assert (outcome.ending, outcome.error.type) == ("timed_out", "TimeLimit")
        assert "hard limit of 2 s" in outcome.error.message


@pytest.mark.parametrize(("size", "over"), [(1000, False), (1001, True)])
def test_the_memory_of_a_call(size: int, over: bool) -> None:
    """A call whose process takes more has failed, and hears how much it was."""
    outcome = excess(1000, size)
    assert (outcome is not None) is over
    if outcome is not None and outcome.error is not None:
        assert (outcome.ending, outcome.error.type) == ("raised", "MemoryLimit")
        assert "1,001 bytes" in outcome.error.message


@pytest.mark.parametrize(
    ("wear", "why"),
    [
        (Wear(), ""),
        (Wear(calls=101, age=61.0, memory=1001), ""),
        (Wear(calls=100), "it has run 100 calls"),
        (Wear(age=60.0), "it is 60 s old"),
        (Wear(memory=999), "it takes 1,000 bytes of memory"),
    ],
)
def test_when_a_child_is_worn_out(wear: Wear, why: str) -> None:
    """By calls, by age or by memory; without a limit never."""
    assert worn(wear, 100, 60.0, 1000) == why


def test_far_beyond_the_memory_of_a_child() -> None:
    """A half more than allowed is too much to wait for."""
    assert not far_beyond(Wear(), 10**12)
    assert not far_beyond(Wear(memory=1000), 1500)
    assert far_beyond(Wear(memory=1000), 1501)


GROUPS = {
    "none": ("", "memory.events"),
    "second": ("0::/app\n", "app/memory.events"),
    "first": ("4:memory:/app\n0::/\n", "memory/app/memory.oom_control"),
}


@pytest.mark.parametrize("version", GROUPS)
def test_kills_for_lack_of_memory_are_noticed(version: str, tmp_path: Path) -> None:
    """Those of our control group, of either version, and those of the whole system."""
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    lines, place = GROUPS[version]
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text(lines)
    assert memory.kills(proc, groups) == 0
    counts = groups / place
    counts.parent.mkdir(parents=True)
    counts.write_text("oom 3\noom_kill 2\n")
    assert memory.kills(proc, groups) == 2
    (proc / "vmstat").write_text("nr_free_pages 5\noom_kill 1\n")
    assert memory.kills(proc, groups) == 3


def test_memory_of_a_process_that_is_gone(tmp_path: Path) -> None:
    """Nothing is known of it, and that is no error."""
    assert memory.resident(1, tmp_path) == 0
    (tmp_path / "1").mkdir()
    (tmp_path / "1/statm").write_text("100 25 7")
    assert memory.resident(1, tmp_path) % 25 == 0 < memory.resident(1, tmp_path)


# -- what a child holds ----------------------------------------------------------------------------


@pytest.fixture
def handed() -> Iterator[Handed]:
    """Return what a child holds that runs two threads."""
    held = Handed()
    held.open({"threads": 2})
    yield held
    held.cell.close()


def delivery(name: str, attempt: int = 1) -> Delivery:
    return Delivery(message=Message(id=name, task="t"), fence=Fence(name, attempt, "h"))


def take(handed: Handed, *names: str, kind: Kind = "threads") -> list[int]:
    return [handed.take(delivery(name), kind, 0.0) for name in names]


def names(back: list[tuple[Delivery, Kind]]) -> list[str]:
    return [each.message.id for each, _ in back]


def test_what_is_withdrawn_does_not_start(handed: Handed) -> None:
    """What started before comes not back; what did not is refused when it would start."""
    a, b, c = take(handed, "a", "b", "c")
    child = handed.cell
    assert child.begin(a)
    withdrawn = handed.withdraw()
    assert list(withdrawn) == [b, c]
    assert not child.begin(b)
    assert names(handed.taken_back(withdrawn)) == ["b", "c"]
    assert list(handed.calls) == [a]
    assert handed.windows["threads"].held == 1


def test_one_that_starts_while_it_is_withdrawn_stays(handed: Handed) -> None:
    """The child had begun it before it could see that it was withdrawn."""
    a, b = take(handed, "a", "b")
    waiting = {slot: handed.calls[slot] for slot in handed.unstarted()}
    assert handed.cell.begin(b)
    for slot in waiting:
        handed.cell.withdraw(slot)
    assert names(handed.taken_back(waiting)) == ["a"]
    assert list(handed.calls) == [b]
    assert a not in handed.calls


def test_a_slot_is_free_when_the_child_has_spoken_of_it(handed: Handed) -> None:
    """A slot whose call was withdrawn is given to no other until the child knows that."""
    (a,) = take(handed, "a")
    handed.taken_back(handed.withdraw())
    later = take(handed, *map(str, range(10)))
    assert a not in later
    assert handed.recalled([a]) == []
    assert a in take(handed, "b")
    assert handed.cell.begin(a)


def test_an_end_that_comes_too_late_is_nobodys(handed: Handed) -> None:
    """The child reports as interrupted what it was not let begin: that has been taken back."""
    (a,) = take(handed, "a")
    handed.taken_back(handed.withdraw())
    assert handed.end([(a, Outcome(ending="interrupted"))]) == []
    assert handed.windows["threads"].held == 0


def test_what_a_child_gives_back_itself(handed: Handed) -> None:
    """Each call comes back once, whoever is first."""
    a, b = take(handed, "a", "b")
    withdrawn = handed.withdraw()
    assert names(handed.recalled([a])) == ["a"]
    assert names(handed.taken_back(withdrawn)) == ["b"]
    assert handed.recalled([b]) == []


def test_earlier_attempts_are_found_by_name(handed: Handed) -> None:
    """Who lost attempt 2 runs no earlier one either; a later one is not meant."""
    old = handed.take(delivery("a", 1), "threads", 0.0)
    handed.take(delivery("b", 3), "threads", 0.0)
    assert handed.named([Fence("a", 2, "h"), Fence("b", 2, "h")]) == [old]


def test_a_cell_is_one_memory_for_two_processes() -> None:
    """What one side writes the other reads, under the same descriptor."""
    ours = Cell.create()
    theirs = Cell(ours.descriptor)
    assert ours.since(3) == 0
    assert theirs.begin(3)
    theirs.enter(0, 3)
    theirs.enter(5, 4)
    assert ours.since(3) > 0
    assert ours.stepped() == {3, 4}
    theirs.leave(0)
    assert ours.stepped() == {4}
    ours.withdraw(4)
    assert not theirs.begin(4)
    assert ours.since(4) == 0
    ours.clear(4)
    assert theirs.begin(4)
