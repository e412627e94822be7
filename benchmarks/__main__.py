"""The command line: what to measure, how often, and where the figures go."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from benchmarks import contenders, machine, scenarios
from benchmarks.contenders import Contender
from benchmarks.figures import Measure, Sample, table
from benchmarks.processes import Failed, stop_all
from benchmarks.scenarios import Plan, Scenario
from benchmarks.session import Session

_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
_CONDITIONS = (
    Measure("loop_mops", "a loop of Python just before, millions of rounds a second"),
    Measure("others_percent", "processor time of other programs meanwhile, per cent of a core"),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="small numbers, one round: does it run?")
    add("--only", help=f"some of {','.join(scenarios.ALL)}")
    add("--rounds", type=int, help="rounds, in which ropeway and the peer take turns (3)")
    add("--n", type=int, help="tasks in the queue (50000; a fifth of it for the peer)")
    add("--idle-seconds", type=float, help="how long idleness is watched (60)")
    add("--json", type=Path, help="write every sample to this file")
    add("--dir", type=Path, help="where databases are made: on a disk (./.bench)")
    add(
        "--venvs",
        type=Path,
        default=Path(os.environ.get("BENCH_VENVS", tempfile.gettempdir())) / "ropeway-bench-venvs",
        help="where the peer is installed, to be used again (in the temporary directory)",
    )
    add("--no-peers", action="store_true", help="ropeway alone; nothing is installed")
    add("--huey-fsync", choices=("0", "1"), default="", help="huey's fsync (its default)")
    return parser


def _plan(options: argparse.Namespace, base: Path) -> Plan:
    quick = options.quick
    return Plan(
        base=base,
        n=options.n or (5_000 if quick else 50_000),
        sends=300 if quick else 2_000,
        latency_rounds=50 if quick else 300,
        idle_seconds=options.idle_seconds or (3.0 if quick else 60.0),
        strace_seconds=2.0 if quick else 20.0,
    )


def _chosen(only: str | None) -> list[Scenario]:
    names = only.split(",") if only else list(scenarios.ALL)
    unknown = [name for name in names if name not in scenarios.ALL]
    if unknown:
        raise Failed(f"no scenario is called {unknown[0]}; there are {', '.join(scenarios.ALL)}")
    return [scenarios.ALL[name] for name in names]


def _describe(base: Path, everyone: list[Contender]) -> dict[str, Any]:
    about: dict[str, Any] = dict(machine.describe(base))
    print(
        f"Python {about['python']}, {about['system']}, {about['cores']} cores, load {about['load']}; "
        f"{about['loop_mops']} million rounds of a loop a second"
    )
    print(
        f"{about['file_system']}; an append of 4 KiB is durable after {about['sync_ms']} ms, "
        f"after a pause of 15 ms {about['sync_paused_ms']} ms (medians)"
    )
    for module in dict.fromkeys(each.module for each in everyone):
        one = next(each for each in everyone if each.module == module)
        with Session(one, base) as session:
            facts = about[module] = session.ask("facts")
        print(
            f"{facts['library']} on SQLite {facts['sqlite']}: journal {facts['journal']}, "
            f"synchronous {_SYNCHRONOUS[facts['synchronous']]}"
        )
    if any(not each.ours for each in everyone):
        print(
            "huey takes a task from the queue before it runs (at most once): what a killed worker"
        )
        print("was running is gone. ropeway settles a task after its run (at least once).")
    return about


def _measure(
    scenario: Scenario, everyone: list[Contender], plan: Plan, rounds: int
) -> list[Sample]:
    """Rounds in which the contenders take turns, so that the machine's moods meet all of them."""
    takers = [each for each in everyone if scenario.takes(each)]
    samples: list[Sample] = []
    for number in range(min(rounds, scenario.most_rounds)):
        for contender in takers:
            if sys.stderr.isatty():
                print(f"  round {number + 1}: {contender.name:<40}", end="\r", file=sys.stderr)
            loop = machine.calibrate()
            bystanders = machine.Bystanders()
            values = scenario.run(contender, plan)
            values |= {"loop_mops": loop, "others_percent": bystanders.percent()}
            samples.append(Sample(scenario.name, contender.name, number, values))
    return samples


def _run(options: argparse.Namespace, base: Path) -> None:
    chosen, plan = _chosen(options.only), _plan(options, base)
    everyone = contenders.ropeway()
    if not options.no_peers:
        everyone += contenders.huey(options.venvs, options.huey_fsync)
    about = _describe(base, everyone)
    ours = [each.name for each in everyone if each.ours]
    samples: list[Sample] = []
    for scenario in chosen:
        print(f"\n{scenario.name}: {scenario.words}", flush=True)
        found = _measure(scenario, everyone, plan, options.rounds or (1 if options.quick else 3))
        print("\n".join(table(found, (*scenario.measures, *_CONDITIONS), ours)), flush=True)
        samples += found
        if options.json:
            text = {"machine": about, "plan": plan, "samples": samples}
            options.json.write_text(json.dumps(msgspec.to_builtins(text, enc_hook=str), indent=1))


def _folder(given: Path | None) -> Path:
    place = given or Path(".bench")
    place.mkdir(parents=True, exist_ok=True)
    machine.file_system(place)
    return Path(tempfile.mkdtemp(prefix="bench-", dir=place.resolve()))


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Measure what was asked for; 2 if that cannot be done here."""
    options = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    base: Path | None = None
    try:
        base = _folder(options.dir)
        _run(options, base)
    except (Failed, machine.Unusable) as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    finally:
        stop_all()
        if base is not None:
            shutil.rmtree(base, ignore_errors=True)
            if options.dir is None and not any(base.parent.iterdir()):
                base.parent.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
