"""What a power cut took away."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from chaos import history
from chaos.evidence import Dump, Evidence, load, load_setup
from chaos.invariants.accounts import conservation, sound_storage
from chaos.invariants.finding import Example, Finding, judge
from chaos.invariants.results import result_integrity
from chaos.invariants.sends import no_acked_loss, no_ghosts
from chaos.invariants.settles import one_settle
from chaos.witness import Row

_ENOUGH = 100
"""Acknowledged calls, and with a worker results seen, without which a cut says nothing."""


class Aftermath(Struct, kw_only=True):
    """The evidence of a cut: what was known before, and what was on the disk just after."""

    evidence: Evidence
    seen: dict[str, str]
    after: dict[str, Row]


class PowerVerdict(Struct, frozen=True, kw_only=True):
    """What `verdict.json` holds of a cut."""

    word: Literal["pass", "violation", "inconclusive"]
    durability: str
    scene: str
    findings: list[Finding]
    acknowledged: int
    unanswered: int
    lost: int
    seen: int
    results_lost: int


def load_cut(folder: Path) -> Aftermath:
    """Read the directory of a cut; answers that came after it were given by nobody."""
    records = history.read(folder / "history")
    cut = next(record.t for record in records if record.type == "phase" and record.op == "cut")
    evidence = load(folder)
    for sent in evidence.sends.values():
        if sent.answered is not None and sent.answered >= cut:
            sent.answered = None
    seen = {
        record.id: record.v or ""
        for record in records
        if record.op == "result" and record.type == "ok" and record.t < cut
    }
    after = msgspec.json.decode((folder / "after.json").read_bytes(), type=Dump)
    evidence.damage = after.damage or evidence.damage
    return Aftermath(evidence=evidence, seen=seen, after={row.id: row for row in after.raw})


def judge_cut_folder(folder: Path) -> PowerVerdict:
    """Check the directory of a cut, and leave the verdict there."""
    setup = load_setup(folder)
    verdict = judge_cut(load_cut(folder), setup.durability, setup.scene)
    (folder / "verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)))
    return verdict


def judge_cut(aftermath: Aftermath, durability: str, scene: str) -> PowerVerdict:
    """Check what must hold; unless durability is "disk" a loss is measured and no violation."""
    evidence = aftermath.evidence
    stored, results = sends_stored(aftermath), results_stored(aftermath)
    # A witness inside of the backend loses with it what it saw; the notes of workers are not lost.
    consistent = durability == "disk" or evidence.whole
    findings = [
        *((stored, results, no_acked_loss(evidence)) if durability == "disk" else ()),
        no_ghosts(evidence),
        *((one_settle(evidence),) if consistent else ()),
        result_integrity(evidence, kept=consistent),
        conservation(evidence, counted=consistent),
        sound_storage(evidence),
    ]
    enough = stored.counts["acknowledged"] >= _ENOUGH
    enough &= scene == "sending" or results.counts["seen"] >= _ENOUGH
    wrong = any(each.judgement != "valid" for each in findings)
    return PowerVerdict(
        word="violation" if wrong else "pass" if enough else "inconclusive",
        durability=durability,
        scene=scene,
        findings=findings,
        acknowledged=stored.counts["acknowledged"],
        unanswered=sum(sent.outcome == "info" for sent in evidence.sends.values()),
        lost=stored.violations,
        seen=results.counts["seen"],
        results_lost=results.violations,
    )


def sends_stored(aftermath: Aftermath) -> Finding:
    """P1: every acknowledged call is on the disk just after the cut."""
    acked = [sent.id for sent in aftermath.evidence.sends.values() if sent.outcome == "ok"]
    wrong = [
        Example(job_id, "was acknowledged, and is not on the disk")
        for job_id in acked
        if job_id not in aftermath.after
    ]
    counts = {"acknowledged": len(acked)}
    return judge("P1", "acknowledged calls outlive the cut", wrong, counts)


def results_stored(aftermath: Aftermath) -> Finding:
    """P2: every result that somebody has seen is on the disk just after the cut, and stays."""
    wrong: list[Example] = []
    for job_id, value in aftermath.seen.items():
        for rows, when in ((aftermath.after, "after the cut"), (aftermath.evidence.raw, "later")):
            row = rows.get(job_id)
            if row is None or row.value != value:
                wrong.append(Example(job_id, f"{value} was seen, and {when} there is {row}"))
                break
    return judge("P2", "results that were seen outlive it", wrong, {"seen": len(aftermath.seen)})
