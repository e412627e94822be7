"""The command line: what to measure, how often, and where the figures go."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from benchmarks import lineups, machine, scenarios, servers
from benchmarks.contender import KINDS, SQLITE, Contender
from benchmarks.processes import Failed, stop_all
from benchmarks.rounds import describe, measure
from benchmarks.scenarios import Plan, Scenario
from benchmarks.show import Show


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="small numbers, one round: does it run?")
    add("--on", choices=KINDS, default=SQLITE, help="what all of them store in (sqlite)")
    some = dict.fromkeys(name for kind in KINDS for name in scenarios.ON[kind])
    add("--only", help=f"some of {','.join(some)}")
    add("--peers", help="some of the peers, as rq,tarsk (all)")
    add("--rounds", type=int, help="rounds, in which ropeway and the peers take turns (3)")
    add("--n", type=int, help="tasks in the queue (50000; a tenth of it for the peers)")
    add("--idle-seconds", type=float, help="how long idleness is watched (60)")
    add("--json", type=Path, help="write every sample to this file")
    add("--page", type=Path, help="put the tables into this page, where it says figures: NAME")
    add("--dir", type=Path, help="where databases are made: on a disk (./.bench)")
    add(
        "--venvs",
        type=Path,
        default=Path(os.environ.get("BENCH_VENVS", tempfile.gettempdir())) / "ropeway-bench-venvs",
        help="where the peers are installed, to be used again (in the temporary directory)",
    )
    add("--no-peers", action="store_true", help="ropeway alone; nothing is installed")
    add("--huey-fsync", choices=("0", "1"), default="", help="huey's fsync (its default)")
    return parser


def _plan(options: argparse.Namespace, base: Path) -> Plan:
    quick = options.quick
    return Plan(
        base=base,
        n=options.n or (5_000 if quick else 50_000),
        sends=300 if quick else 2_000 if options.on == SQLITE else 10_000,
        latency_rounds=50 if quick else 300,
        idle_seconds=options.idle_seconds or (3.0 if quick else 60.0),
        strace_seconds=2.0 if quick else 10.0,
        pruned=100_000 if quick else 600_000,
        flat=5_000 if quick else 20_000,
        backlog=20_000 if quick else 200_000,
        twice=not quick,
    )


def _chosen(on: str, only: str | None) -> list[Scenario]:
    there = scenarios.ON[on]
    names = only.split(",") if only else list(there)
    return [there[name] for name in _known("scenario", names, there, on)]


def _known(what: str, names: list[str], there: Collection[str], on: str) -> list[str]:
    """Return the names; raises `Failed` for one that is not there."""
    unknown = [name for name in names if name not in there]
    if unknown:
        raise Failed(f"no {what} is called {unknown[0]} on {on}; there are {', '.join(there)}")
    return names


def _contenders(options: argparse.Namespace) -> tuple[list[Contender], list[str]]:
    """Who takes part, and a sentence for each who cannot."""
    everyone = lineups.ours(options.on)
    if options.no_peers:
        return everyone, []
    there = lineups.peers(options.on, options.huey_fsync)
    names = options.peers.split(",") if options.peers else list(there)
    makers = [there[name] for name in _known("peer", names, there, options.on)]
    found, missing = lineups.had(makers, options.venvs)
    return [*everyone, *found], [f"A PEER IS MISSING: {words}" for words in missing]


def _run(options: argparse.Namespace, base: Path) -> list[str]:
    """Measure and show; return what went wrong."""
    chosen, plan = _chosen(options.on, options.only), _plan(options, base)
    everyone, wrong = _contenders(options)
    show = Show(options.on, everyone, plan, page=options.page, json_file=options.json)
    show.machine(describe(everyone, base, wrong))
    for scenario in chosen:
        print(f"\n{scenario.name}: {scenario.words}", flush=True)
        rounds = options.rounds or (1 if options.quick else 3)
        show.scenario(scenario, measure(scenario, everyone, plan, rounds, wrong))
    return wrong


def _folder(given: Path | None) -> Path:
    place = given or Path(".bench")
    place.mkdir(parents=True, exist_ok=True)
    machine.file_system(place)
    return Path(tempfile.mkdtemp(prefix="bench-", dir=place.resolve()))


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Measure what was asked for; 1 if some of it failed, 2 if that cannot be done here."""
    options = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    base: Path | None = None
    try:
        base = _folder(options.dir)
        wrong = _run(options, base)
    except (Failed, machine.Unusable) as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    finally:
        stop_all()
        servers.stop_all()
        if base is not None:
            shutil.rmtree(base, ignore_errors=True)
            if options.dir is None and not any(base.parent.iterdir()):
                base.parent.rmdir()
    for words in wrong:
        print(f"\n{words}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
