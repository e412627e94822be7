"""`ropeway check`: for monitoring, with the exit codes that monitoring knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ropeway import safe
from ropeway.cli.look import changing
from ropeway.cli.output import to_json
from ropeway.cli.shared import Shared, a_duration, options
from ropeway.errors import RopewayError
from ropeway.operate import probes
from ropeway.operate.facts import gather
from ropeway.operate.probes import WORDS, Figure, Limit
from ropeway.operate.queue import CAP
from ropeway.stepping import step

UNKNOWN = 3


class Unknown(click.UsageError):
    """A wrong usage, so that nothing can be told."""

    exit_code = UNKNOWN


class Probe(click.Command):
    """A command of which a wrong usage is "unknown": 2 would be "critical"."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Read the command line."""
        try:
            return super().make_context(*args, **more)
        except click.UsageError as error:
            raise Unknown(error.format_message(), error.ctx) from None
        except RopewayError as error:  # a context that cannot be used
            raise Unknown(f"{error.code} {error.fact}") from None


def _limits(
    figure: Figure, read: Callable[[str], float]
) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], list[Limit]]:
    """Read the values of an option: [QUEUE=][WARN:]LIMIT."""

    def callback(
        ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
    ) -> list[Limit]:
        found = []
        for text in values:
            queue, _, bounds = text.rpartition("=")
            warn, _, most = bounds.rpartition(":")
            found.append(
                Limit(
                    figure=figure,
                    queue=queue or None,
                    warn=read(warn) if warn else None,
                    most=read(most),
                )
            )
        return found

    return callback


def _count(text: str) -> float:
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is not a number; write 1000, mail=1000 or 500:1000")
    return float(text)


@click.command(cls=Probe)
@click.option(
    "--max-ready",
    multiple=True,
    metavar="LIMIT",
    callback=_limits("ready", _count),
    help="Jobs that may be due and wait: in each queue, or mail=1000.",
)
@click.option(
    "--max-age",
    multiple=True,
    metavar="LIMIT",
    callback=_limits("age", a_duration),
    help="For how long the first job of a queue may be due: 5m, mail=1m:5m.",
)
@click.option(
    "--min-workers",
    multiple=True,
    metavar="LIMIT",
    callback=_limits("workers", _count),
    help="Workers that must take jobs, or must serve a queue: 1, mail=2.",
)
@click.option(
    "--max-failed",
    multiple=True,
    metavar="LIMIT",
    callback=_limits("failed", _count),
    help="Jobs that may have failed of those sent in the last hour.",
)
@click.option(
    "--max-quarantined",
    multiple=True,
    metavar="LIMIT",
    callback=_limits("quarantined", _count),
    help="Jobs that may be in quarantine.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["nagios", "prometheus", "json"]),
    default="nagios",
    show_default=True,
    help="How the figures are written.",
)
@options("url", "context", "no_color")
@click.pass_obj
def check(
    shared: Shared,
    max_ready: list[Limit],
    max_age: list[Limit],
    min_workers: list[Limit],
    max_failed: list[Limit],
    max_quarantined: list[Limit],
    form: str,
) -> int:
    """Hold figures against limits, for monitoring.

    The exit code is 0 when all is well, 1 for a warning, 2 for an alarm and 3 when nothing can be
    told, as Nagios and others have it. A LIMIT is a number or, for --max-age, a duration; in
    front of it there may be a lower one for a warning, as in 500:1000, and the name of a queue, as
    in mail=1000. Options may be repeated.
    """
    limits = [*max_ready, *max_age, *min_workers, *max_failed, *max_quarantined]
    cap = int(max([CAP, *(limit.most + 1 for limit in max_ready)]))
    try:
        with changing() as backend:
            facts = step(gather(backend, cap))
    except RopewayError as error:
        _print_unknown(error, form)
        return UNKNOWN
    found = probes.readings(facts, limits)
    verdict = probes.worst(found)
    if form == "prometheus":
        print(probes.prometheus(facts), end="")
    elif form == "json":
        print(
            to_json({"status": WORDS[verdict].lower(), "readings": _records(found)}, pretty=False)
        )
    else:
        print(safe.one_line(probes.nagios(found)))
    return verdict


def _records(found: list[probes.Reading]) -> list[dict[str, Any]]:
    return [
        {
            "figure": each.figure,
            "queue": each.queue,
            "value": each.value,
            "warn": each.limit.warn,
            "limit": each.limit.most,
            "status": WORDS[each.verdict].lower(),
        }
        for each in found
    ]


def _print_unknown(error: RopewayError, form: str) -> None:
    fact = safe.one_line(error.fact)
    if form == "json":
        print(
            to_json(
                {"status": "unknown", "error": {"code": error.code, "message": fact}}, pretty=False
            )
        )
    elif form == "prometheus":
        print(f"# {error.code} {fact}")
    else:
        print(f"ROPEWAY UNKNOWN - {error.code} {fact}".replace("|", "/"))
