"""A seed decides everything that can be decided before a run."""

from __future__ import annotations

from chaos import nemeses
from chaos.evidence import POISON
from chaos.plan import STOPS, plan
from chaos.points import NEMESIS, POINTS
from chaos.profile import STANDARD, Profile
from chaos.seeds import stream
from chaos.tasks import COROUTINES, PLAIN, POISONED, digest_of, work_of
from chaos.workload import draw, share


def test_a_seed_gives_the_same_run_again() -> None:
    """Faults and work; and another seed gives another run."""
    assert plan(1, STANDARD) == plan(1, STANDARD) != plan(2, STANDARD)
    assert draw(1, STANDARD) == draw(1, STANDARD) != draw(2, STANDARD)


def test_streams_are_independent() -> None:
    """What one draws changes nothing for another."""
    first = [stream(1, "a").random() for _ in range(3)]
    assert len(set(first)) == 1
    assert stream(1, "b").random() != first[0] != stream(2, "a").random()


def test_the_faults_come_after_the_warm_up_and_in_order() -> None:
    """Kills about every half second, of every kind; stops that outlast a lease; and the others."""
    profile = Profile(server_every=4.0)
    faults = plan(3, profile, disk=True, server=True)
    times = [fault.t for fault in faults]
    assert times == sorted(times)
    assert times[0] >= STANDARD.warm_up
    assert times[-1] <= STANDARD.warm_up + STANDARD.faults
    kinds = {fault.nemesis for fault in faults}
    assert kinds | {NEMESIS + point for point in POINTS} == nemeses.ALL.keys() - {POISONED}
    kills = [fault for fault in faults if fault.nemesis.startswith("kill")]
    assert 100 <= len(kills) <= 140
    stops = [fault.duration for fault in faults if fault.nemesis in STOPS]
    assert min(stops) > STANDARD.lease


def test_a_disk_is_filled_only_where_there_is_one() -> None:
    """And the other faults are those of a run without."""
    with_disk, without = plan(4, STANDARD, disk=True), plan(4, STANDARD)
    assert [each for each in with_disk if each.nemesis != "fill disk"] == without != with_disk


def test_a_nemesis_can_be_left_out() -> None:
    """An interval of 0 means never."""
    profile = Profile(
        every=0.0,
        stop_every=0.0,
        restart_every=0.0,
        lock_every=0.0,
        full_every=0.0,
        server_every=0.0,
    )
    assert plan(1, profile, disk=True, server=True) == []


def test_every_call_is_sent_by_one_producer() -> None:
    """And all kinds of work are there."""
    items = draw(1, Profile(tasks=2_000))
    shares = [share(items, index, 3) for index in range(3)]
    assert sorted(item.n for part in shares for item in part) == list(range(2_000))
    assert {item.task for item in items} == {*COROUTINES, *PLAIN}
    assert sum(item.task == POISON for item in items) == Profile().poison
    assert any(item.fails for item in items)
    assert any(item.pause > STANDARD.lease for item in items)


def test_a_value_names_its_work() -> None:
    """The number and the digest of the payload, then what differs from attempt to attempt."""
    value = f"17.{digest_of('payload')}.3.4711"
    assert work_of(value) == f"17.{digest_of('payload')}"
    assert digest_of("payload") != digest_of("payloae")
