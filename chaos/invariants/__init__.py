"""The checkers: pure functions from the evidence to a finding, one for each invariant."""

from __future__ import annotations

from collections.abc import Callable

from chaos.evidence import Evidence
from chaos.invariants.accounts import conservation, only_poison_quarantined, sound_storage
from chaos.invariants.finding import Example, Finding
from chaos.invariants.recovery import back_after_outages, recovery_bound
from chaos.invariants.results import result_integrity
from chaos.invariants.runs import exclusivity, no_orphans
from chaos.invariants.sends import no_acked_loss, no_ghosts
from chaos.invariants.settles import fencing, one_settle

__all__ = ["ALL", "Example", "Finding", "check"]

ALL: tuple[Callable[[Evidence], Finding], ...] = (
    no_acked_loss,
    no_ghosts,
    one_settle,
    fencing,
    exclusivity,
    no_orphans,
    result_integrity,
    conservation,
    only_poison_quarantined,
    recovery_bound,
    back_after_outages,
    sound_storage,
)


def check(evidence: Evidence) -> list[Finding]:
    """Have every checker look at the evidence."""
    return [checker(evidence) for checker in ALL]
