"""Failovers under load, with a standby that has everything and with one that may lag."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from chaos import report
from chaos.errors import HarnessError
from chaos.evidence import Evidence, Setup, load
from chaos.failover.pair import Pair, PairPlace
from chaos.invariants.accounts import conservation
from chaos.invariants.finding import Example, Finding, judge
from chaos.invariants.results import result_integrity
from chaos.invariants.sends import no_acked_loss, no_ghosts
from chaos.invariants.settles import one_settle
from chaos.processes import until
from chaos.profile import Profile
from chaos.seeds import stream
from chaos.stage import Stage
from chaos.verdict import Word

_PROFILE = Profile(tasks=4_000, sending=14.0, workers=2, poison=0, patience=120.0)
_EARLIEST, _LATEST = 3.0, 6.0
_LAG = 0.4
"""Seconds for which the standby hears of nothing before the server dies."""

_MARGIN = 0.5
_BACK = 2.0
FAILED = "failed over"
"""The phase that begins with the death of the server."""


class Failover(Struct, frozen=True, kw_only=True):
    """What was found after one failover; `oldest` is the age of the oldest loss, in seconds."""

    word: Word
    findings: list[Finding]
    acknowledged: int
    lost: int
    again: int
    oldest: float
    promoted: float
    away: float


def pair_of(backend: str, data: Path, *, synchronous: bool) -> Pair:
    """Two servers of a kind; raises `HarnessError` for what has none."""
    if backend == "postgres":
        from chaos.failover.standby import StandbyPair

        return StandbyPair(data, synchronous=synchronous)
    if backend == "redis":
        from chaos.failover.sentinels import SentinelPair

        return SentinelPair(data, synchronous=synchronous)
    raise HarnessError(f"{backend} has no standby")


def fail_over(seeds: Iterable[int], backend: str, base: Path, *, keep: bool) -> list[Word]:
    """Fail over twice for each seed: with a synchronous standby, and with one that lags."""
    print(
        f"{'seed':<6}{'standby':<14}{'verdict':<14}{'acked':>8}{'lost':>6}{'settled again':>15}"
        f"{'oldest loss':>13}{'promoted':>10}{'runs again':>12}"
    )
    words: list[Word] = []
    for seed in seeds:
        for synchronous in (True, False):
            kind = "synchronous" if synchronous else "asynchronous"
            folder = base / f"failover-{backend}-{kind}-{seed}"
            pair = pair_of(backend, folder / "data", synchronous=synchronous)
            _run(Stage(_setup(seed, backend), folder, PairPlace(pair)), pair)
            found = judge_failover(load(folder), synchronous=synchronous)
            words.append(found.word)
            print(_line(seed, kind, found), flush=True)
            if found.word != "pass":
                print("\n".join(report.findings(found.findings)), f"\n  kept in {folder}")
            elif not keep:
                shutil.rmtree(folder)
    return words


def _setup(seed: int, backend: str) -> Setup:
    return Setup(seed=seed, backend=backend, profile=_PROFILE, scene="failover")


def _run(stage: Stage, pair: Pair) -> None:
    chance = stream(stage.setup.seed, "failover")
    try:
        stage.prepare()
        stage.start_workers()
        stage.start_producers()
        time.sleep(chance.uniform(_EARLIEST, _LATEST))
        pair.separate()
        time.sleep(_LAG)
        pair.kill()
        # Whatever the old server has acknowledged it has acknowledged by now.
        stage.history.log("phase", FAILED)
        pair.promote()
        stage.history.log("phase", "promoted")
        time.sleep(_BACK)
        pair.back()
        until(lambda: not any(each.alive for each in stage.clients), "all is sent", 120)
        stage.history.log("phase", "healed")
        stage.work_off()
        stage.look()
    finally:
        stage.end()


def judge_failover(evidence: Evidence, *, synchronous: bool) -> Failover:
    """Check what must hold: with a synchronous standby everything, else all but the last moment."""
    failed, promoted = evidence.moments[FAILED], evidence.moments["promoted"]
    loss, settles = no_acked_loss(evidence), one_settle(evidence)
    young = _only_the_last_moment(evidence, failed)
    findings = [
        *((loss, settles) if synchronous else (young,)),
        no_ghosts(evidence),
        result_integrity(evidence, kept=synchronous),
        conservation(evidence, counted=synchronous),
    ]
    wrong = any(each.judgement != "valid" for each in findings)
    starts = [run.started for runs in evidence.runs.values() for run in runs]
    following = min((t for t in starts if t > promoted), default=promoted)
    return Failover(
        word="violation" if wrong else "pass",
        findings=findings,
        acknowledged=loss.counts["acknowledged"],
        lost=loss.violations,
        again=settles.violations,
        oldest=young.counts["oldest ms"] / 1000,
        promoted=(promoted - failed) / 1e9,
        away=(following - promoted) / 1e9,
    )


def _only_the_last_moment(evidence: Evidence, failed: int) -> Finding:
    """P3: what is lost was acknowledged when the standby heard of nothing any more."""
    ages = {
        sent.id: (failed - sent.answered) / 1e9
        for sent in evidence.sends.values()
        if sent.answered is not None and sent.id not in evidence.raw
    }
    wrong = [
        Example(job_id, f"was acknowledged {age:.1f} s before the failure, and is not stored")
        for job_id, age in sorted(ages.items())
        if not 0 < age < _LAG + _MARGIN
    ]
    counts = {"lost": len(ages), "oldest ms": round(1000 * max(ages.values(), default=0.0))}
    return judge("P3", "only the last moment is lost", wrong, counts)


def _line(seed: int, kind: str, found: Failover) -> str:
    return (
        f"{seed:<6}{kind:<14}{found.word:<14}{found.acknowledged:>8,}{found.lost:>6,}"
        f"{found.again:>15,}{found.oldest:>11.2f} s{found.promoted:>8.2f} s{found.away:>10.2f} s"
    )
