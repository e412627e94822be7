"""Several power cuts, each on a new disk and at a moment of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from chaos import report
from chaos.places import Durability, place_of
from chaos.power.cut import cut, setup_of
from chaos.power.disk import Disk, refuse_where_impossible
from chaos.power.verdict import PowerVerdict, judge_cut_folder
from chaos.stage import Stage
from chaos.verdict import Word

_COUNTS = {
    "acked": "acknowledged",
    "unanswered": "unanswered",
    "lost": "lost",
    "results seen": "seen",
    "results lost": "results_lost",
}


def cut_power(
    seeds: Iterable[int], backend: str, durability: Durability, base: Path, *, keep: bool
) -> list[Word]:
    """Cut once for each seed. Cuts that are meant to lose and lose nothing have not bitten."""
    refuse_where_impossible()
    verdicts: list[PowerVerdict] = []
    print(
        f"{'seed':<8}{'verdict':<14}{'durability':<12}{'scene':<10}"
        + "".join(f"{t:>14}" for t in _COUNTS)
    )
    for seed in seeds:
        folder = base / f"power-{backend}-{durability}-{seed}"
        verdict = one(seed, backend, durability, folder)
        verdicts.append(verdict)
        print(line(str(seed), verdict), flush=True)
        if verdict.word != "pass":
            print("\n".join(report.findings(verdict.findings)), f"\n  kept in {folder}")
        elif not keep:
            shutil.rmtree(folder)
    print(_total(durability, verdicts), flush=True)
    words: list[Word] = [verdict.word for verdict in verdicts]
    if durability == "process" and not any(verdict.lost for verdict in verdicts):
        print("nothing was lost without durability: these cuts prove nothing")
        words.append("inconclusive")
    return words


def one(seed: int, backend: str, durability: Durability, folder: Path) -> PowerVerdict:
    """Make one cut and judge it."""
    with Disk() as disk:
        place = place_of(backend, disk.mount, durability=durability)
        cut(Stage(setup_of(seed, backend, durability), folder, place), disk)
    return judge_cut_folder(folder)


def line(name: str, verdict: PowerVerdict) -> str:
    """One cut."""
    counts = [getattr(verdict, field) for field in _COUNTS.values()]
    return _line(name, verdict.word, verdict.durability, verdict.scene, counts)


def _total(durability: str, verdicts: Sequence[PowerVerdict]) -> str:
    sums = [sum(getattr(each, field) for each in verdicts) for field in _COUNTS.values()]
    passed = sum(verdict.word == "pass" for verdict in verdicts)
    return _line("all", f"{passed} of {len(verdicts)}", durability, "", sums)


def _line(name: str, word: str, durability: str, scene: str, counts: Sequence[int]) -> str:
    return f"{name:<8}{word:<14}{durability:<12}{scene:<10}" + "".join(
        f"{each:>14,}" for each in counts
    )
