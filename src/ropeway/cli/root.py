"""The command `ropeway` itself: common options, its commands, and what becomes of errors."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import click

from ropeway import __version__
from ropeway.cli.failures import INTERRUPTED, report, report_usage
from ropeway.cli.groups import Lazy
from ropeway.cli.shared import Shared, options
from ropeway.cli.streams import cannot_be_written, prepare
from ropeway.errors import RopewayError

_COMMANDS = {
    "new": (
        "ropeway.cli.commands.new:new",
        "Write the first files of a project into a new folder.",
    ),
    "dev": (
        "ropeway.cli.commands.dev:dev",
        "Run a worker, and replace it whenever a file is saved.",
    ),
    "worker": ("ropeway.cli.commands.worker:worker", "Run tasks until told to stop."),
    "run": ("ropeway.cli.commands.run:run", "Send one call of a task."),
    "tasks": ("ropeway.cli.commands.tasks:tasks", "Look at registered functions: ls."),
    "jobs": (
        "ropeway.cli.commands.jobs:jobs",
        "Look at jobs and change them: ls, show, result, logs, cancel, retry, edit, rm.",
    ),
    "quarantine": (
        "ropeway.cli.commands.quarantine:quarantine",
        "See to what cannot be run: ls, groups, show, edit, retry, rm.",
    ),
    "queues": (
        "ropeway.cli.commands.queues:queues",
        "Look at queues, pause and empty them, and set their bounds: ls, show, pause, declare ...",
    ),
    "limits": (
        "ropeway.cli.commands.limits:limits",
        "Look at limits, and change them while workers run: ls, show, set, reset.",
    ),
    "schedules": (
        "ropeway.cli.commands.schedules:schedules",
        "Look at schedules and change them: ls, show, next, history, add, edit, pause, run, rm ...",
    ),
    "workflows": (
        "ropeway.cli.commands.workflows:workflows",
        "Look at runs of workflows and change them: ls, show, graph, watch, retry, cancel ...",
    ),
    "topics": (
        "ropeway.cli.commands.topics:topics",
        "Look at topics and change them: ls, show, tail, subscriptions, create, publish, replay ...",
    ),
    "exchanges": (
        "ropeway.cli.commands.exchanges:exchanges",
        "Look at exchanges and change them: ls, bindings, declare, bind, unbind, rm.",
    ),
    "bindings": (
        "ropeway.cli.commands.exchanges:bindings",
        "List the bindings from EXCHANGE, or all of them.",
    ),
    "publish": (
        "ropeway.cli.commands.publish:publish",
        "Send a call to EXCHANGE with the routing key KEY, and print the id of its job.",
    ),
    "route": (
        "ropeway.cli.commands.route:route",
        "Say to which queues a message would go, and why; nothing is sent.",
    ),
    "topology": (
        "ropeway.cli.commands.topology:topology",
        "Take exchanges, bindings and options of queues to and from a file: export, diff, apply.",
    ),
    "workers": (
        "ropeway.cli.commands.workers:workers",
        "Look at workers, and tell them what to do: ls, show, quiet, resume, stop, stack, check.",
    ),
    "dashboard": (
        "ropeway.cli.commands.dashboard:dashboard",
        "Serve the dashboard: look at everything, and operate it, in a browser.",
    ),
    "status": (
        "ropeway.cli.commands.status:status",
        "Say how things are: healthy or not, what waits and why, what fails.",
    ),
    "top": (
        "ropeway.cli.commands.top:top",
        "Watch how things are: overview, queues, workers, errors.",
    ),
    "audit": ("ropeway.cli.commands.audit:audit", "List what was done by hand, and by whom."),
    "operations": (
        "ropeway.cli.commands.operations:operations",
        "Look at changes of many jobs that go on in a dashboard: ls, show, stop, resume.",
    ),
    "check": ("ropeway.cli.commands.check:check", "Hold figures against limits, for monitoring."),
    "doctor": (
        "ropeway.cli.commands.doctor:doctor",
        "Check this machine, the database and the app.",
    ),
    "bench": (
        "ropeway.cli.commands.bench:bench",
        "Measure the place where jobs are kept, and a worker: enqueue, roundtrip, worker.",
    ),
    "explain": (
        "ropeway.cli.commands.explain:explain",
        "Say what an error code means, and what to do.",
    ),
    "cheat": (
        "ropeway.cli.commands.cheat:cheat",
        "Print command lines to copy, by what one wants to do.",
    ),
    "support-bundle": (
        "ropeway.cli.commands.support_bundle:support_bundle",
        "Write an archive for those who shall help, without secrets and without data of jobs.",
    ),
    "contexts": (
        "ropeway.cli.commands.contexts:contexts",
        "Keep names for the places where jobs are: add, ls, use, show, test, rm.",
    ),
    "config": (
        "ropeway.cli.commands.config:config",
        "Look at the settings: show, validate, schema.",
    ),
    "prune": ("ropeway.cli.commands.prune:prune", "Remove what need not be kept."),
    "db": (
        "ropeway.cli.commands.db:db",
        "Look at the tables in PostgreSQL and bring them up to date: status, migrate, sql.",
    ),
    "backup": (
        "ropeway.cli.commands.backup:backup",
        "Copy the database to FILE while workers run.",
    ),
    "restore": (
        "ropeway.cli.commands.backup:restore",
        "Put the copy FILE in the place of the database.",
    ),
    "completion": (
        "ropeway.cli.commands.completion:completion",
        "Print what a shell needs to complete commands, options and names.",
    ),
    "demo": ("ropeway.cli.commands.demo:demo", "Watch a worker lose a child and lose no job."),
}
_JSON_ASKED = "ropeway.cli.json"


class Root(Lazy):
    """The outermost group: a command's return value is the exit code, and errors are shown here."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line, on streams that can be written to."""
        prepare()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if not cannot_be_written():
                raise
            Shared().say(f"cannot write to standard output: {error.strerror}")
            sys.exit(1)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the common options, and note early whether errors shall be JSON."""
        ctx.meta[_JSON_ASKED] = _asks_for_json(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and end with its exit code."""
        shared = ctx.ensure_object(Shared)
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()  # a reader that has left is noticed here, where click is quiet about it
        except RopewayError as error:
            code = report(error, json=shared.json, verbose=shared.verbose)
            if not shared.json and sys.stderr.isatty():
                shared.say(f"{'':8}  more: ropeway explain {error.code}")
        except click.UsageError as error:
            if not ctx.meta[_JSON_ASKED]:
                raise
            code = report_usage(error)
        except KeyboardInterrupt:
            shared.say("Interrupted.")
            code = INTERRUPTED
        ctx.exit(code or 0)


def _asks_for_json(words: list[str]) -> bool:
    """Look for the options that make errors JSON; the words may be no proper command line."""
    before_dashes = words[: words.index("--")] if "--" in words else words
    kinds = ("json", "jsonl")
    asked = {"--json", *(f"{name}{kind}" for name in ("-o", "--output=") for kind in kinds)}
    pairs = pairwise(before_dashes)
    return not asked.isdisjoint(before_dashes) or any(
        option in {"-o", "--output"} and kind in kinds for option, kind in pairs
    )


@click.group(
    cls=Root,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each command has a --help of its own.",
)
@options()
@click.version_option(__version__, message="ropeway %(version)s")
def main() -> None:
    """Run work outside the request: tasks, workers and their results."""
