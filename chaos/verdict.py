"""The verdict of a run: what the checkers found, and whether the run was hard enough to count."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from chaos import invariants
from chaos.evidence import Evidence, load
from chaos.figures import Figures, measure
from chaos.invariants import Finding
from chaos.timeline import timeline

PASS, VIOLATION, INCONCLUSIVE, HARNESS_ERROR = 0, 1, 2, 3
"""Exit codes."""

Word = Literal["pass", "violation", "inconclusive", "harness error"]
_CODES: dict[Word, int] = {
    "pass": PASS,
    "violation": VIOLATION,
    "inconclusive": INCONCLUSIVE,
    "harness error": HARNESS_ERROR,
}


class Verdict(Struct, frozen=True, kw_only=True):
    """What `verdict.json` holds; `missing` says why a run is inconclusive."""

    word: Word
    findings: list[Finding]
    figures: Figures
    missing: list[str]
    timelines: dict[str, list[str]]

    @property
    def exit_code(self) -> int:
        """The exit code of a program that ends with this verdict."""
        return _CODES[self.word]

    def finding(self, invariant: str) -> Finding:
        """What was found about one invariant."""
        return next(each for each in self.findings if each.invariant == invariant)


def judge(evidence: Evidence) -> Verdict:
    """Check everything; a run in which too little went wrong is inconclusive."""
    findings = invariants.check(evidence)
    overlaps = next(each for each in findings if each.invariant == "I5").counts["overlaps"]
    figures = measure(evidence, overlaps)
    missing = figures.short_of(evidence.profile.enough)
    missing += [f"{each.invariant}: unknown" for each in findings if each.judgement == "unknown"]
    ids = {example.id for each in findings for example in each.examples if example.id}
    return Verdict(
        word=_word(findings, missing),
        findings=findings,
        figures=figures,
        missing=missing,
        timelines={job_id: timeline(job_id, evidence) for job_id in sorted(ids)},
    )


def judge_folder(folder: Path) -> Verdict:
    """Check the directory of a run, and leave the verdict there."""
    verdict = judge(load(folder))
    (folder / "verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)))
    return verdict


def worst(words: list[Word]) -> int:
    """The exit code for several runs: a violation counts more than whatever says nothing."""
    order: tuple[Word, ...] = ("violation", "harness error", "inconclusive", "pass")
    return _CODES[min(words, key=order.index, default="inconclusive")]


def _word(findings: list[Finding], missing: list[str]) -> Word:
    if any(each.judgement == "invalid" for each in findings):
        return "violation"
    return "inconclusive" if missing else "pass"
