"""What notes prove: each tells an interval, from the question to the answer, in which it was done.

Of a worker that was killed in between nothing is noted: a claim may be missing, and a settle may
have been done without an answer. So nothing is called wrong here that the notes do not prove.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from chaos.history import Record
from chaos.notes import CLAIM, EXTEND, SETTLE
from chaos.witness import Claimed, Row, Settled, Sightings

CUT = "cut"
"""The phase of a run that begins when its power is cut."""

_QUEUED = "queued"
Attempt = tuple[str, int]
"""A job, and the number of its attempt."""


class _Claim(Struct):
    """A claim that came back: it was made between `asked` and `had`."""

    id: str
    attempt: int
    pid: int
    asked: int
    had: int


class _Ask(Struct):
    """A settle that somebody asked for, once."""

    id: str
    attempt: int
    pid: int
    state: str
    value: str | None
    asked: int
    answered: int | None = None
    answer: Literal["", "applied", "repeated", "refused"] = ""

    @property
    def certain(self) -> bool:
        """Whether it was done, now or before."""
        return self.answer in {"applied", "repeated"}


def sightings(records: Sequence[Record], lease: float, rows: Mapping[str, Row]) -> Sightings:
    """Conclude which claims and which settles there were; `rows` is what is stored at the end."""
    notes = [record for record in records if record.op in {CLAIM, EXTEND, SETTLE, CUT}]
    asks = _asks(notes)
    # The first one that was asked for counts.
    released = {(each.id, each.attempt): each for each in reversed(asks) if _gave_back(each)}
    ends = _lease_ends(notes, round(lease * 1e9))
    claims: defaultdict[str, list[_Claim]] = defaultdict(list)
    for note in notes:
        if note.op == CLAIM:
            claims[note.id].append(_Claim(note.id, note.attempt, note.p, note.since, note.t))
    claimed = [each for many in claims.values() for each in _claimed(_sorted(many), released, ends)]
    settled = list(_settled(asks, released, rows))
    return Sightings(claimed, sorted(settled, key=lambda each: each.order), whole=False)


def _asks(notes: Sequence[Record]) -> list[_Ask]:
    asks: list[_Ask] = []
    cut = next((each.t for each in notes if each.op == CUT), None)
    unanswered: dict[tuple[int, str, int], _Ask] = {}
    for note in notes:
        key = (note.p, note.id, note.attempt)
        if note.op != SETTLE:
            continue
        if note.type == "invoke":
            ask = _Ask(note.id, note.attempt, note.p, note.note, note.v, note.t)
            unanswered[key] = ask
            asks.append(ask)
        elif key in unanswered:
            ask = unanswered.pop(key)
            if cut is not None and ask.asked < cut <= note.t:
                continue  # nobody had this answer
            ask.answered, ask.answer = note.t, note.note  # type: ignore[assignment]
    return asks


def _gave_back(ask: _Ask) -> bool:
    return ask.state == _QUEUED and ask.answer != "refused"


def _lease_ends(notes: Iterable[Record], lease: int) -> dict[Attempt, int]:
    """Until when each attempt's lease was good, at the least."""
    ends: dict[Attempt, int] = {}
    for note in notes:
        if note.op in {CLAIM, EXTEND}:
            attempt = (note.id, note.attempt)
            ends[attempt] = max(ends.get(attempt, 0), note.since + lease)
    return ends


def _sorted(claims: list[_Claim]) -> list[_Claim]:
    """Order the claims of one job as they were numbered, unless the notes prove another order."""
    numbered = sorted(claims, key=lambda each: (each.attempt, each.had))
    if any(later.had < earlier.asked for earlier, later in pairwise(numbered)):
        return sorted(claims, key=lambda each: each.had)
    return numbered


def _claimed(
    claims: Sequence[_Claim], released: Mapping[Attempt, _Ask], ends: Mapping[Attempt, int]
) -> Iterator[Claimed]:
    last, holder = 0, ""
    heard = {claim.attempt for claim in claims}
    for claim in claims:
        # A claim of which nobody noted that it came back was made before this one did.
        unheard = [each for each in range(last + 1, claim.attempt) if each not in heard]
        for attempt in (*unheard, claim.attempt):
            known = attempt == claim.attempt
            before = (claim.id, attempt - 1)
            waited = attempt == 1 or (before in released and released[before].asked < claim.had)
            end = ends.get(before)
            yield Claimed(
                order=claim.had,
                t=claim.had,
                id=claim.id,
                attempt=attempt,
                holder=str(claim.pid) if known else "nobody heard of it",
                before_attempt=attempt - 1,
                before_state=_QUEUED if waited else "running",
                before_holder=holder or None,
                lease_left=None if waited or end is None else (end - claim.had) / 1e9,
            )
            holder = str(claim.pid) if known else ""
        last = max(last, claim.attempt)


def _settled(
    asks: Iterable[_Ask], released: Mapping[Attempt, _Ask], rows: Mapping[str, Row]
) -> Iterator[Settled]:
    by_job: defaultdict[str, list[_Ask]] = defaultdict(list)
    for ask in asks:
        if ask.state != _QUEUED and ask.answer != "refused":
            by_job[ask.id].append(ask)
    for job_id, many in by_job.items():
        certain = _done(many)
        for ask in certain or _likely(many, rows.get(job_id)):
            back = released.get((ask.id, ask.attempt))
            freed = back is not None and back.answered is not None and back.answered < ask.asked
            yield Settled(
                order=ask.asked,
                t=ask.answered or ask.asked,
                id=ask.id,
                attempt=ask.attempt,
                holder=str(ask.pid),
                state=ask.state,
                before_state=_QUEUED if freed else "running",
                before_attempt=ask.attempt,
                value=ask.value,
            )


def _done(asks: Iterable[_Ask]) -> list[_Ask]:
    """The settles that were surely done: one for each attempt, and each that was applied anew."""
    done: dict[tuple[int, int], _Ask] = {}
    for ask in asks:
        if ask.answer == "repeated":
            done.setdefault((ask.attempt, 0), ask)
    for number, ask in enumerate(each for each in asks if each.answer == "applied"):
        key = (ask.attempt, 0)
        if key in done and done[key].answer == "applied":
            key = (ask.attempt, number + 1)
        done[key] = ask
    return list(done.values())


def _likely(asks: Iterable[_Ask], row: Row | None) -> list[_Ask]:
    """The settle without an answer that explains what is stored."""
    fitting = [
        each for each in asks if row and (each.attempt, each.state) == (row.attempt, row.state)
    ]
    return fitting[-1:]
