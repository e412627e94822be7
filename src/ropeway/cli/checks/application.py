"""The app: which one it is and, where one was named, whether it can be imported."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from ropeway.cli.checks.check import Check, failed
from ropeway.cli.checks.probe import MARK, Answer
from ropeway.errors import AppNotFound, ConfigError
from ropeway.safe import masked
from ropeway.worker.locate import choose_target

_PATIENCE = 30.0
_NAME_ONE = "name one: -A module:app, ROPEWAY_APP, or app in [tool.ropeway]"


def application(given: str | None, url: str | None) -> Check:
    """Find the app; import one that is `given`, in a process of its own, and compare its url."""
    try:
        target = choose_target(given)
    except AppNotFound as error:
        return Check("app", "warn", error.fact, _NAME_ONE)
    except ConfigError as error:
        return failed("app", error)
    if given is None:
        return Check("app", "ok", f"{target} (not imported; -A {target} tries it)")
    return _imported(target, url)


def _imported(target: str, url: str | None) -> Check:
    command = [sys.executable, "-m", "ropeway.cli.checks.probe", target]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        fact = f"{target} took longer than {_PATIENCE:.0f} s to import"
        return Check("app", "fail", fact, "move slow work out of the module's top level")
    found = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        remedy = f"to see all of it: {sys.executable} -m ropeway.cli.checks.probe {target}"
        return Check("app", "fail", f"{target} cannot be imported: {last}", remedy)
    answer = msgspec.json.decode(found[-1].removeprefix(MARK), type=Answer)
    fact = f"{target} with {len(answer.tasks)} tasks"
    if not answer.tasks:
        return Check("app", "warn", fact, "decorate functions with @app.task")
    if url is not None and answer.url != url:
        remedy = f"pass -u {masked(answer.url)} to look where it sends"
        return Check("app", "warn", f"{fact} sends elsewhere: {masked(answer.url)}", remedy)
    return Check("app", "ok", fact)
