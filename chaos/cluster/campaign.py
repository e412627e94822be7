"""A pair of RabbitMQ and SQLite under load, while every fault of a cluster strikes in turn."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from chaos import history, report
from chaos.cluster.network import Network, refuse_where_impossible
from chaos.cluster.nodes import Cluster
from chaos.cluster.place import ClusterPlace
from chaos.errors import HarnessError
from chaos.evidence import Evidence, Setup, load
from chaos.history import Record
from chaos.invariants.accounts import conservation
from chaos.invariants.finding import Finding
from chaos.invariants.results import result_integrity
from chaos.invariants.sends import no_acked_loss, no_ghosts
from chaos.invariants.settles import fencing, one_settle
from chaos.processes import until
from chaos.profile import Profile
from chaos.seeds import stream
from chaos.stage import Stage
from chaos.verdict import Word

_NODES, _QUEUE = 3, "default"
_PROFILE = Profile(
    tasks=13_000, sending=130.0, workers=2, producers=2, poison=0, lease=5.0, patience=180.0
)
_CALM, _LONGEST_CALM = 3.0, 6.0
_DEAD, _CUT, _ALARM, _BACK = 6.0, 20.0, 4.0, 3.0
"""Seconds for which a fault lasts, and for which all is well afterwards."""

LEADER, PARTITION, MEMORY, DISK, ALL = (
    "leader killed",
    "leader cut off",
    "memory alarm",
    "disk alarm",
    "all killed",
)
FAULTS = (LEADER, PARTITION, MEMORY, DISK, ALL)
"""The phases of a run, in their order."""

_OVER = "over"


class Outcome(Struct, frozen=True, kw_only=True):
    """What was found; `gaps`: seconds in which no publisher, and in which one, had an answer."""

    word: Word
    findings: list[Finding]
    acknowledged: int
    lost: int
    again: int
    gaps: dict[str, tuple[float, float]]


def strike_cluster(seeds: Iterable[int], base: Path, *, keep: bool) -> list[Word]:
    """Strike a new cluster for each seed, and judge what became of its messages."""
    words: list[Word] = []
    for seed in seeds:
        refuse_where_impossible()
        folder = base / f"cluster-{seed}"
        network = Network(_NODES)
        setup = Setup(seed=seed, backend="rabbitmq", profile=_PROFILE, scene="cluster")
        cluster = Cluster(folder / "data", network)
        _run(Stage(setup, folder, ClusterPlace(cluster, network, folder / "store")), cluster)
        found = judge_cluster(load(folder), history.read(folder / "history"))
        words.append(found.word)
        print("\n".join(_lines(seed, found)), flush=True)
        if found.word != "pass":
            print("\n".join(report.findings(found.findings)), f"\n  kept in {folder}")
        elif not keep:
            shutil.rmtree(folder)
    return words


def _run(stage: Stage, cluster: Cluster) -> None:
    chance = stream(stage.setup.seed, "cluster")
    try:
        stage.prepare()
        stage.start_workers()
        stage.start_producers()
        for name, strike in _strikes(cluster):
            time.sleep(chance.uniform(_CALM, _LONGEST_CALM))
            heal = strike(lambda name=name: stage.history.log("phase", name))  # type: ignore[misc]
            heal()
            time.sleep(_BACK)
        stage.history.log("phase", _OVER)
        until(lambda: not any(each.alive for each in stage.clients), "all is sent", 240)
        for client in stage.clients:
            if client.exit_code:
                raise HarnessError(f"a producer failed:\n{client.said()[-2000:]}")
        stage.history.log("phase", "healed")
        _empty(cluster)
        stage.work_off()
        stage.look()
    finally:
        stage.end()


def _empty(cluster: Cluster) -> None:
    """Wait until no message is left; what is by then is for the checkers to find."""
    deadline = time.monotonic() + _PROFILE.patience
    while cluster.messages(1) and time.monotonic() < deadline:
        time.sleep(0.5)


_Begin = Callable[[], object]
_Strike = Callable[[_Begin], Callable[[], None]]


def _strikes(cluster: Cluster) -> Iterator[tuple[str, _Strike]]:
    """What is done to it, each with what ends it; a strike says when it begins."""
    hosts = range(1, _NODES + 1)

    def kill(begin: _Begin) -> Callable[[], None]:
        leader = cluster.leader(_QUEUE, hosts)
        begin()
        cluster.kill(leader)
        time.sleep(_DEAD)
        return lambda: cluster.start([leader])

    def cut(begin: _Begin) -> Callable[[], None]:
        leader = cluster.leader(_QUEUE, hosts)
        begin()
        cluster.network.cut(leader)
        time.sleep(_CUT)
        return lambda: _connect(cluster, leader)

    def alarm(limit: tuple[str, ...], usual: tuple[str, ...]) -> _Strike:
        def strike(begin: _Begin) -> Callable[[], None]:
            begin()
            cluster.ctl(1, *limit)
            time.sleep(_ALARM)
            return lambda: (cluster.ctl(1, *usual), None)[1]

        return strike

    def kill_all(begin: _Begin) -> Callable[[], None]:
        begin()
        for host in hosts:
            cluster.kill(host)
        return lambda: cluster.start(hosts)

    memory, disk = "set_vm_memory_high_watermark", "set_disk_free_limit"
    yield LEADER, kill
    yield PARTITION, cut
    yield MEMORY, alarm((memory, "absolute", "1MB"), (memory, "absolute", "512MB"))
    yield DISK, alarm((disk, "1000000GB"), (disk, "50MB"))
    yield ALL, kill_all


def _connect(cluster: Cluster, host: int) -> None:
    cluster.network.heal(host)
    cluster.wait_until_whole([host])


def judge_cluster(evidence: Evidence, records: Iterable[Record]) -> Outcome:
    """Check that what was confirmed was done and settled once, and measure how long sends stood still."""
    loss, settles = no_acked_loss(evidence), one_settle(evidence)
    findings = [
        loss,
        settles,
        no_ghosts(evidence),
        fencing(evidence),
        result_integrity(evidence, kept=True),
        conservation(evidence, counted=True),
    ]
    wrong = any(each.judgement != "valid" for each in findings)
    return Outcome(
        word="violation" if wrong else "pass",
        findings=findings,
        acknowledged=loss.counts["acknowledged"],
        lost=loss.violations,
        again=settles.violations,
        gaps=_gaps(evidence.moments, [r for r in records if r.op == "send" and r.type == "ok"]),
    )


def _gaps(moments: dict[str, int], answers: list[Record]) -> dict[str, tuple[float, float]]:
    """For each fault the longest time without an answer: to anybody, and to one of them."""
    told = {each.p for each in answers}
    gaps: dict[str, tuple[float, float]] = {}
    for name, following in pairwise([*(each for each in FAULTS if each in moments), _OVER]):
        span = moments[name], moments[following]
        alone = [_longest([each.t for each in answers if each.p == one], *span) for one in told]
        gaps[name] = _longest([each.t for each in answers], *span), max(alone, default=0.0)
    return gaps


def _longest(times: list[int], begin: int, end: int) -> float:
    """The longest time within the span without one of these."""
    within = [begin, *(each for each in times if begin < each < end), end]
    return max(later - earlier for earlier, later in pairwise(within)) / 1e9


def _lines(seed: int, found: Outcome) -> Iterator[str]:
    yield (
        f"seed {seed}: {found.word}; {found.acknowledged:,} acknowledged, {found.lost} lost, "
        f"{found.again} settled again"
    )
    yield f"  {'longest time without a confirm':<32}{'to anybody':>12}{'to one':>12}"
    for name, (everybody, one) in found.gaps.items():
        yield f"  {name:<32}{everybody:>10.2f} s{one:>10.2f} s"
