"""The history, the witness and the final dump of a run, put in order for those who judge it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct, field

from chaos import history
from chaos.crew import refused
from chaos.history import Record
from chaos.plan import Fault
from chaos.profile import Profile
from chaos.witness import Claimed, Row, Settled, Sightings

T = TypeVar("T", Claimed, Settled)

POISON = "poison"
"""What a producer notes of a call that is meant to kill."""

FINAL = frozenset({"succeeded", "failed", "cancelled", "expired", "quarantined"})


class Setup(Struct, frozen=True, kw_only=True):
    """What was run: everything that is needed to run it again.

    `durability` is what the backend is set to; `scene` says what went on when the power was cut.
    """

    seed: int
    backend: str
    profile: Profile
    faults: list[Fault] = field(default_factory=list)
    durability: Literal["disk", "process"] = "disk"
    scene: str = ""


class Dump(Struct, frozen=True, kw_only=True):
    """What was there at the end: as the public interface tells it, and as it is stored."""

    public: list[Row]
    raw: list[Row]
    damage: str = ""


class Sent(Struct, kw_only=True):
    """One call that a producer asked for; `work` is what its value must say.

    It was asked for `asked` times, unchanged; of these `failed` were refused for certain. `poison`
    kills whatever runs it.
    """

    id: str
    work: str
    invoked: int
    asked: int = 0
    failed: int = 0
    answered: int | None = None
    poison: bool = False

    @property
    def outcome(self) -> Literal["ok", "fail", "info"]:
        """Whether it was acknowledged, refused every time, or nobody knows."""
        if self.answered is not None:
            return "ok"
        return "fail" if self.failed == self.asked else "info"


class Run(Struct, kw_only=True):
    """One execution of one attempt, as the task itself wrote it down.

    `gone`: when it was surely over: its end, or the strike that killed it, or the last that was
    seen of its process.
    """

    id: str
    attempt: int
    pid: int
    supervisor: int
    started: int
    ended: int | None = None
    gone: int = 0
    value: str | None = None
    note: str = ""


class Strike(Struct, frozen=True, kw_only=True):
    """A nemesis struck the process `pid`, and let it go at `until`."""

    t: int
    nemesis: str
    pid: int
    until: int

    @property
    def deadly(self) -> bool:
        """Whether the process was killed."""
        return self.nemesis.startswith("kill")


class Evidence(Struct, kw_only=True, dict=True):
    """Everything that is known of a run; most of it by the id of the job.

    `pressed`: when a sender was told that there is no room. `whole`: the witness missed nothing.
    `moments`: when each phase of the run began.
    """

    profile: Profile = field(default_factory=Profile)
    sends: dict[str, Sent] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    claims: dict[str, list[Claimed]] = field(default_factory=dict)
    settles: dict[str, list[Settled]] = field(default_factory=dict)
    strikes: list[Strike] = field(default_factory=list)
    public: dict[str, Row] = field(default_factory=dict)
    raw: dict[str, Row] = field(default_factory=dict)
    damage: str = ""
    whole: bool = True
    refused: int = 0
    pressed: list[int] = field(default_factory=list)
    began: int = 0
    healed: int = 0
    moments: dict[str, int] = field(default_factory=dict)

    @cached_property
    def _by_process(self) -> dict[int, list[Run]]:
        found: dict[int, list[Run]] = defaultdict(list)
        for runs in self.runs.values():
            for run in runs:
                found[run.pid].append(run)
                found[run.supervisor].append(run)
        return found

    def runs_in(self, pid: int) -> Sequence[Run]:
        """The runs of a child, or of all children of a supervisor."""
        return self._by_process.get(pid, ())

    def is_open(self, run: Run, t: int) -> bool:
        """Whether the run had started by then, and what became of it was not stored yet."""
        if run.started >= t:
            return False
        if run.ended is None or run.ended >= t:
            return True
        if run.value is None:
            return False  # it failed, and when it was given back nobody saw
        later = [claim.t for claim in self.claims.get(run.id, ()) if claim.attempt > run.attempt]
        settled = [settle.t for settle in self.settles.get(run.id, ())]
        return not any(moment <= t for moment in later + settled)

    def takeover_of(self, run: Run) -> Claimed | None:
        """The claim that followed the attempt of this run."""
        claims = self.claims.get(run.id, ())
        return next((claim for claim in claims if claim.before_attempt == run.attempt), None)


def load_setup(folder: Path) -> Setup:
    """Read how a run was made."""
    return msgspec.json.decode((folder / "run.json").read_bytes(), type=Setup)


def load(folder: Path) -> Evidence:
    """Read the directory of a run."""
    setup = load_setup(folder)
    dump = msgspec.json.decode((folder / "final.json").read_bytes(), type=Dump)
    sightings = msgspec.json.decode((folder / "witness.json").read_bytes(), type=Sightings)
    records = history.read(folder / "history")
    strikes = _strikes(records)
    moments = {record.op: record.t for record in records if record.type == "phase"}
    return Evidence(
        profile=setup.profile,
        sends=_sends(records),
        runs=_runs(records, strikes),
        claims=_by_id(sightings.claims),
        settles=_by_id(sightings.settles),
        strikes=strikes,
        public={row.id: row for row in dump.public},
        raw={row.id: row for row in dump.raw},
        damage=dump.damage,
        whole=sightings.whole,
        refused=refused(folder),
        pressed=[record.t for record in records if record.note == "Backpressure"],
        began=moments.get("began", 0),
        healed=moments.get("healed", 0),
        moments=moments,
    )


def _sends(records: Iterable[Record]) -> dict[str, Sent]:
    sends: dict[str, Sent] = {}
    for record in records:
        if record.op != "send":
            continue
        if record.type == "invoke":
            work = f"{record.n}.{record.v}"
            sent = sends.setdefault(record.id, Sent(id=record.id, work=work, invoked=record.t))
            sent.poison = record.note == POISON
            sent.asked += 1
        elif record.type == "ok":
            sends[record.id].answered = record.t
        elif record.type == "fail":
            sends[record.id].failed += 1
    return sends


def _runs(records: Sequence[Record], strikes: Sequence[Strike]) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = defaultdict(list)
    open_runs: dict[tuple[str, int, int], Run] = {}
    last_seen: dict[int, int] = {}
    for record in records:
        key = (record.id, record.attempt, record.p)
        last_seen[record.p] = record.t
        if record.type == "start":
            run = open_runs[key] = Run(
                id=record.id,
                attempt=record.attempt,
                pid=record.p,
                supervisor=record.sup,
                started=record.t,
            )
            runs[record.id].append(run)
        elif record.type == "end" and key in open_runs:
            run = open_runs.pop(key)
            run.ended, run.value, run.note = record.t, record.v, record.note
    deaths = {strike.pid: strike.t for strike in strikes if strike.deadly}
    for each in runs.values():
        for run in each:
            death = deaths.get(run.pid) or deaths.get(run.supervisor)
            run.gone = run.ended or death or last_seen[run.pid]
    return dict(runs)


def _strikes(records: Iterable[Record]) -> list[Strike]:
    strikes: list[Strike] = []
    healed: dict[tuple[str, int], int] = {}
    for record in reversed(list(records)):
        if record.type == "heal":
            healed[record.op, record.sup] = record.t
        elif record.type == "strike":
            until = healed.pop((record.op, record.sup), record.t)
            strikes.append(Strike(t=record.t, nemesis=record.op, pid=record.sup, until=until))
    return strikes[::-1]


def _by_id(records: Iterable[T]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for record in records:
        found[record.id].append(record)
    return dict(found)
