"""The end of the demo: what came out, whether it is right, and what to try next."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from msgspec import Struct

from ropeway.cli.demo import witness
from ropeway.cli.demo.answers import Answers
from ropeway.cli.demo.check import Verdict
from ropeway.cli.demo.display import Display
from ropeway.cli.demo.fleet import APP, Kill
from ropeway.cli.demo.graph import friends

_ROWS = 6
_PAIRS = 2
_COMPLAINTS = 5


class Run(Struct, frozen=True):
    """The facts of one run: where, how long, how many, who was killed, what was started."""

    url: str
    seconds: float
    children: int
    kills: list[Kill]
    executions: list[witness.Execution]


def report(show: Display, run: Run, answers: Answers, verdict: Verdict) -> int:
    """Show everything; return 0 if every answer is right and the kill had its effect, else 1."""
    _results(show, answers)
    _speed(show, run, verdict.total)
    survived = _survival(show, run)
    show.say(
        f"{verdict.agree:,} of {verdict.total:,} answers agree with a second computation "
        "that shares no code with the tasks"
    )
    for complaint in verdict.wrong[:_COMPLAINTS]:
        show.say(f"WRONG {complaint}")
    if len(verdict.wrong) > _COMPLAINTS:
        show.say(f"WRONG and {len(verdict.wrong) - _COMPLAINTS:,} more")
    _next_steps(show, run)
    return 0 if survived and not verdict.wrong else 1


def _results(show: Display, answers: Answers) -> None:
    """Show members from the least to the best connected, and some pairs."""
    near = friends()
    members = sorted(answers.suggested, key=lambda member: (len(near[member]), member))
    chosen = [members[place * (len(members) - 1) // (_ROWS - 1)] for place in range(_ROWS)]
    rows = [
        (
            str(member),
            str(len(near[member])),
            "  ".join(f"{other} ({shared})" for other, shared, _ in answers.suggested[member]),
        )
        for member in chosen
    ]
    show.table(("Member", "Friends", "May know (mutual friends)"), rows)
    for (a, b), shared in sorted(answers.mutual.items(), key=lambda it: -len(it[1]))[:_PAIRS]:
        show.say(f"{a} and {b} share {len(shared)} friends: {', '.join(map(str, shared[:8]))}, …")
    show.say("")


def _speed(show: Display, run: Run, total: int) -> None:
    show.say(
        f"{total:,} tasks in {run.seconds:.1f} s, the start of the worker included: "
        f"{total / run.seconds:,.0f} tasks/s over {run.children} children"
    )


def _survival(show: Display, run: Run) -> bool:
    """Say what the kill did; tell whether calls ran twice, each time as another attempt."""
    for kill in run.kills:
        show.say(str(kill))
    twice = len(witness.ran_twice(run.executions))
    if not twice:
        show.say("FAILED no call ran twice, so the kill has shown nothing: run the demo again")
        return False
    if not witness.fenced(run.executions):
        show.say(f"FAILED {twice:,} calls ran twice, and an attempt number was given out twice")
        return False
    calls = "1 call" if twice == 1 else f"{twice:,} calls"
    show.say(f"{calls} ran twice, each settled once")
    return True


def _next_steps(show: Display, run: Run) -> None:
    url, ropeway = shlex.quote(run.url), _command()
    show.say("")
    show.say("Try next:")
    show.say(f"  {ropeway} jobs ls --url {url}")
    show.say(f"  {ropeway} queues ls --url {url}")
    show.say(f"  {ropeway} doctor --url {url}")
    show.say(f"  {ropeway} worker {APP} --url {url}")


def _command() -> str:
    """How to type the command: by its name if the shell finds it, else by where it is."""
    if shutil.which("ropeway"):
        return "ropeway"
    beside = Path(sys.executable).with_name("ropeway")
    if not beside.exists():
        return f"{shlex.quote(sys.executable)} -m ropeway"
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))
