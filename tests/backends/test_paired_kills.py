"""Workers and senders of a pair are killed at every step, and nothing is lost or done twice."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from ropeway.wrappers.paired import Paired
from tests.backends import sabotage_pairs as broken
from tests.backends.pair_world import HUNG, STEPS, Violation, World

SEEDS = int(os.environ.get("PAIR_SEEDS", "200"))
"""How many worlds are tried; a thousand take about three seconds."""

CAUGHT: list[tuple[type[Paired], str]] = [
    (broken.AcksWhatArrives, "was settled 0 times"),
    (broken.PublishesFirst, "nothing asked for"),
    (broken.PublishesForTheRefused, "nothing asked for"),
    (broken.ClearsFirst, "was settled 0 times"),
    (broken.KeepsNoList, "was settled 0 times"),
    (broken.NeverReplays, "never becomes quiet"),
    (broken.ReplaysUnderNewIds, "nothing asked for"),
    (broken.ClaimsNothing, "without a claim"),
    (broken.ClaimsForNoTime, "at two workers at once"),
    (broken.RunsTheSettledAgain, "without a claim"),
    (broken.TakesDuplicatesForRedeliveries, "at two workers at once"),
    (broken.NeverAcks, "never becomes quiet"),
]


def tried(seed: int, pair: type[Paired] = Paired, kill_at: int | None = None) -> World:
    """Run one world to its end; a violation names the seed, which repeats it."""
    world = World(seed, pair, kill_at=kill_at)
    try:
        world.run()
    except Violation as violation:
        where = f"seed {seed}" + (f", killed at turn {kill_at}" if kill_at else "")
        raise Violation(f"{where}: {violation}") from violation
    return world


def test_random_kills() -> None:
    """Whoever dies, and wherever: settled once, followed by what follows from that end, once.

    Each world has its own messages, chains, failures, retries, duplicates, slow and hanging
    workers, and up to a dozen kills.
    """
    killed: Counter[str] = Counter()
    for seed in range(SEEDS):
        killed += tried(seed).killed
    assert killed.keys() >= set(STEPS)
    assert killed.total() > 3 * SEEDS


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_each_step(seed: int) -> None:
    """One workload after another, with one kill, at its first step, its second, and so on."""
    turns = tried(seed, kill_at=0).turns
    killed: Counter[str] = Counter()
    for turn in range(1, turns):
        killed += tried(seed, kill_at=turn).killed
    assert sum(number for step, number in killed.items() if step != HUNG) > turns / 2


@pytest.mark.parametrize(("pair", "told"), CAUGHT)
def test_what_is_broken_is_caught(pair: type[Paired], told: str) -> None:
    """Some world finds each defect, and says what came of it."""
    found = next((said for seed in range(SEEDS) if told in (said := _said(seed, pair))), "")
    assert found, f"{pair.__name__} was never caught"


def test_every_defect_is_tried() -> None:
    """No defect is written down and then not tried."""
    defects = {
        value
        for name, value in vars(broken).items()
        if isinstance(value, type) and value.__module__ == broken.__name__ and name[0] != "_"
    }
    assert defects == {pair for pair, _ in CAUGHT}


def _said(seed: int, pair: type[Paired]) -> str:
    try:
        tried(seed, pair)
    except Violation as violation:
        return str(violation)
    return ""
