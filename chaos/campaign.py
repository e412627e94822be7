"""Several runs, one seed after the other: made, judged, told, and kept if there is a reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from chaos import report, runner
from chaos.errors import HarnessError
from chaos.evidence import Setup
from chaos.places import place_of
from chaos.places.smalldisk import SmallDisk
from chaos.plan import plan
from chaos.profile import Profile
from chaos.stage import Stage
from chaos.verdict import Verdict, Word, judge_folder
from ropeway.errors import RopewayError


def torture(
    seeds: Iterable[int], backend: str, profile: Profile, base: Path, *, keep: bool
) -> list[Word]:
    """Run each seed; the folders of runs that passed go, unless they are to be kept."""
    verdicts: list[Verdict] = []
    words: list[Word] = []
    print(report.header(), flush=True)
    for seed in seeds:
        folder = base / f"seed-{seed}"
        try:
            verdict = _one(seed, folder, backend, profile)
        except (HarnessError, RopewayError) as error:
            print(f"{seed:<8}harness error: {error}\n  kept in {folder}", flush=True)
            words.append("harness error")
            continue
        verdicts.append(verdict)
        words.append(verdict.word)
        lines = (report.line(str(seed), verdict), report.outages(verdict))
        print("\n".join(filter(None, lines)), flush=True)
        if verdict.word != "pass":
            print(f"{report.details(verdict)}\n  kept in {folder}", flush=True)
        elif not keep:
            shutil.rmtree(folder)
    print(report.totals(verdicts), flush=True)
    return words


def _one(seed: int, folder: Path, backend: str, profile: Profile) -> Verdict:
    # One run in four has its database on a small disk, which is filled: a disk in memory, so the
    # others show how the workers do on a real one.
    small = backend == "sqlite" and seed % 4 == 0 and profile.full_every > 0
    faults = plan(seed, profile, disk=small, server=backend != "sqlite")
    setup = Setup(seed=seed, backend=backend, profile=profile, faults=faults)
    with ExitStack() as stack:
        disk = stack.enter_context(SmallDisk(folder / "disk")) if small else None
        place = place_of(backend, disk.mount if disk else folder, disk=disk)
        runner.torture(Stage(setup, folder, place))
    return judge_folder(folder)
