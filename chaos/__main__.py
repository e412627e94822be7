"""The command line: which runs, with which seeds, and where they are kept."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

from chaos import report
from chaos.campaign import torture
from chaos.cluster import network
from chaos.cluster.campaign import strike_cluster
from chaos.errors import HarnessError
from chaos.failover.campaign import fail_over
from chaos.places import BACKENDS, Durability
from chaos.power.campaign import cut_power, line
from chaos.power.disk import refuse_where_impossible
from chaos.power.verdict import judge_cut_folder
from chaos.profile import STANDARD, Profile
from chaos.verdict import HARNESS_ERROR, Word, judge_folder, worst

_NUMBERS = (
    *("tasks", "workers", "children", "lease", "sending", "faults", "every", "stop_every"),
    *("lock_every", "full_every", "server_every", "poison"),
)
"""The fields of a profile that have an option of their own."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="torture workers, and judge what they did")
    _add_run(run, seeds="1")
    check = verbs.add_parser("check", help="judge the directory of a run again")
    check.add_argument("folder", type=Path)
    power = verbs.add_parser("power", help="cut the power of a database on a disk of its own")
    _add_backend(power)
    power.add_argument("--cuts", type=int, default=10, help="how many (10)")
    power.add_argument("--durability", choices=("disk", "process"), default="disk")
    power.add_argument("--seed", dest="seeds", default="1", help="of the first cut (1)")
    _add_place(power)
    failover = verbs.add_parser("failover", help="have a standby take the place of a server")
    failover.add_argument("--backend", choices=("redis", "postgres"), required=True)
    failover.add_argument("--seed", "--seeds", dest="seeds", default="1", help="N or A..B (1)")
    _add_place(failover)
    cluster = verbs.add_parser("cluster", help="strike three nodes of RabbitMQ under a pair")
    cluster.add_argument("--seed", "--seeds", dest="seeds", default="1", help="N or A..B (1)")
    _add_place(cluster)
    both = verbs.add_parser("torture", help="the standard runs, power cuts, then a cluster")
    _add_run(both, seeds="1..20")
    both.add_argument("--cuts", type=int, default=10, help="with durability=disk (10)")
    both.add_argument("--clusters", type=int, default=1, help="of RabbitMQ (1)")
    both.add_argument("--process-cuts", type=int, default=3, help="with durability=process (3)")
    return parser


def _add_run(parser: argparse.ArgumentParser, seeds: str) -> None:
    _add_backend(parser)
    parser.add_argument(
        "--seed", "--seeds", dest="seeds", default=seeds, help=f"N or A..B ({seeds})"
    )
    for name in _NUMBERS:
        default = getattr(STANDARD, name)
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(default), default=default, help=f"({default})")
    _add_place(parser)


def _add_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", choices=BACKENDS, default="sqlite", help="(sqlite)")


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", type=Path, help="where runs are kept (a temporary directory)")
    parser.add_argument("--keep", action="store_true", help="keep also the runs that passed")


def _seeds(text: str) -> range:
    first, dots, last = text.partition("..")
    try:
        return range(int(first), int(last if dots else first) + 1)
    except ValueError:
        raise HarnessError(f"{text!r} is neither a seed nor a range like 1..20") from None


def _torture(options: argparse.Namespace, base: Path) -> list[Word]:
    profile = Profile(**{name: getattr(options, name) for name in _NUMBERS})
    return torture(_seeds(options.seeds), options.backend, profile, base, keep=options.keep)


def _cut(options: argparse.Namespace, base: Path, durability: Durability, cuts: int) -> list[Word]:
    if not cuts:
        return []
    first = _seeds(options.seeds)[0]
    seeds = range(first, first + cuts)
    return cut_power(seeds, options.backend, durability, base, keep=options.keep)


def _run(options: argparse.Namespace, base: Path) -> list[Word]:
    match options.verb:
        case "run":
            return _torture(options, base)
        case "failover":
            return fail_over(_seeds(options.seeds), options.backend, base, keep=options.keep)
        case "cluster":
            return strike_cluster(_seeds(options.seeds), base, keep=options.keep)
        case "power":
            return _cut(options, base, options.durability, options.cuts)
        case _:
            return _everything(options, base)


def _everything(options: argparse.Namespace, base: Path) -> list[Word]:
    if options.cuts or options.process_cuts:
        refuse_where_impossible()
    first = _seeds(options.seeds)[0]
    clusters = range(first, first + options.clusters)
    if clusters:
        network.refuse_where_impossible()
    parts = {
        "runs with processes killed and stopped": _torture(options, base),
        "power cuts, durability=disk": _cut(options, base, "disk", options.cuts),
        "power cuts, durability=process": _cut(options, base, "process", options.process_cuts),
        "clusters of RabbitMQ": strike_cluster(clusters, base, keep=options.keep),
    }
    for name, words in parts.items():
        print(f"{name:<40}{words.count('pass'):>4} of {len(words)} passed")
    return [word for words in parts.values() for word in words]


def _check(folder: Path) -> Word:
    if (folder / "after.json").exists():
        cut = judge_cut_folder(folder)
        print("\n".join([line(folder.name, cut), *report.findings(cut.findings)]))
        return cut.word
    verdict = judge_folder(folder)
    print(f"{report.header()}\n{report.line(folder.name, verdict)}\n{report.details(verdict)}")
    return verdict.word


def _run_in_place(options: argparse.Namespace) -> list[Word]:
    base: Path = options.dir or Path(tempfile.mkdtemp(prefix="ropeway-chaos-"))
    base.mkdir(parents=True, exist_ok=True)
    try:
        return _run(options, base.resolve())
    finally:
        if any(base.iterdir()):
            print(f"what was kept is in {base}")
        elif not options.dir:
            base.rmdir()


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Do what was asked for: 0 pass, 1 violation, 2 inconclusive, 3 nothing could be said."""
    options = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        if options.verb == "check":
            return worst([_check(options.folder)])
        return worst(_run_in_place(options))
    except HarnessError as error:
        print(f"\n{error}", file=sys.stderr)
        return HARNESS_ERROR
    except Exception:  # the status of a traceback is 1, and would mean a violation
        traceback.print_exc()
        return HARNESS_ERROR
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return HARNESS_ERROR


if __name__ == "__main__":
    sys.exit(main())
