"""Rounds in which contenders take turns, and what the figures depend on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks import machine, servers
from benchmarks.contender import SQLITE, Contender
from benchmarks.figures import Sample
from benchmarks.processes import Failed
from benchmarks.scenarios import Plan, Scenario
from benchmarks.session import Session

_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


def measure(
    scenario: Scenario, everyone: list[Contender], plan: Plan, rounds: int, wrong: list[str]
) -> list[Sample]:
    """Take turns, so that the machine's moods meet all of them.

    What fails is told in `wrong`, and the others go on.
    """
    takers = [each for each in everyone if scenario.name in each.scenarios]
    samples: list[Sample] = []
    for number in range(min(rounds, scenario.most_rounds)):
        for contender in takers:
            if sys.stderr.isatty():
                print(f"  round {number + 1}: {contender.name:<40}", end="\r", file=sys.stderr)
            loop = machine.calibrate()
            bystanders = machine.Bystanders(servers.used_seconds)
            try:
                values = scenario.run(contender, plan)
            except Failed as error:
                wrong.append(f"{scenario.name}, round {number + 1}: {error}")
                continue
            values |= {"loop_mops": loop, "others_percent": bystanders.percent()}
            samples.append(Sample(scenario.name, contender.label, number, values))
    return samples


def describe(everyone: list[Contender], base: Path, wrong: list[str]) -> dict[str, Any]:
    """What there is, and in `words` what belongs beside the figures. What fails is told in `wrong`."""
    about: dict[str, Any] = dict(machine.describe(base))
    processor = (
        f"Python {about['python']}, {about['system']}, {about['cores']} cores, "
        f"load {about['load']}; {about['loop_mops']} million rounds of a loop a second"
    )
    disk = (
        f"{about['file_system']}; an append of 4 KiB is durable after {about['sync_ms']} ms, "
        f"after a pause of 15 ms {about['sync_paused_ms']} ms (medians)"
    )
    about["words"] = [processor, disk]
    for one in _each_setup(everyone):
        try:
            with Session(one, base) as session:
                facts = about[one.label] = session.ask("facts")
                where = [session.server.words()] if session.server else []
        except Failed as error:
            wrong.append(str(error))
            continue
        about["words"] += [*where, _stores(facts) if one.on == SQLITE else facts["library"]]
    about["words"] = list(dict.fromkeys(about["words"]))
    return about


def _stores(facts: dict[str, Any]) -> str:
    return (
        f"{facts['library']} on SQLite {facts['sqlite']}: journal {facts['journal']}, "
        f"synchronous {_SYNCHRONOUS[facts['synchronous']]}; {facts['promise']}"
    )


def _each_setup(everyone: list[Contender]) -> list[Contender]:
    """One of those that use a library in the same way."""
    first: dict[tuple[str, ...], Contender] = {}
    for each in everyone:
        first.setdefault((each.module, *each.env.values()), each)
    return list(first.values())
