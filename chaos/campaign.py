"""Several runs, one seed after the other: made, judged, told, and kept if there is a reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from chaos import report, runner
from chaos.errors import HarnessError
from chaos.evidence import Setup
from chaos.plan import plan
from chaos.profile import Profile
from chaos.stage import Stage
from chaos.verdict import Verdict, Word, judge_folder
from ropeway.errors import RopewayError


def torture(
    seeds: Iterable[int], url: str, profile: Profile, base: Path, *, keep: bool
) -> list[Word]:
    """Run each seed; the folders of runs that passed go, unless they are to be kept.

    `{run}` in the URL stands for the folder of the run.
    """
    verdicts: list[Verdict] = []
    words: list[Word] = []
    print(report.header(), flush=True)
    for seed in seeds:
        folder = base / f"seed-{seed}"
        place = url.replace("{run}", str(folder))
        faults = plan(seed, profile)
        try:
            verdict = one(Setup(seed=seed, url=place, profile=profile, faults=faults), folder)
        except (HarnessError, RopewayError) as error:
            print(f"{seed:<8}harness error: {error}\n  kept in {folder}", flush=True)
            words.append("harness error")
            continue
        verdicts.append(verdict)
        words.append(verdict.word)
        print(report.line(str(seed), verdict), flush=True)
        if verdict.word != "pass":
            print(f"{report.details(verdict)}\n  kept in {folder}", flush=True)
        elif not keep:
            shutil.rmtree(folder)
    print(report.totals(verdicts), flush=True)
    return words


def one(setup: Setup, folder: Path) -> Verdict:
    """Make one run and judge it."""
    runner.torture(Stage(setup, folder))
    return judge_folder(folder)
