"""Asking before something is removed."""

from __future__ import annotations

import sys

import click

from ropeway import safe
from ropeway.cli.shared import Shared
from ropeway.errors import Declined


def confirm(what: str, *, yes: bool) -> None:
    """Ask whether to do `what`, unless `yes`; raises `Declined` where the answer is no.

    Without a terminal there is nobody to ask, and that is a no. In a protected context its name has
    to be said, which is the yes; `--yes` is none.
    """
    shared = click.get_current_context().ensure_object(Shared)
    if shared.protected is not None:
        if shared.confirm != shared.protected:
            raise Declined(
                f"context {shared.protected} is protected: to {what}, its name has to be said",
                hint=f"add --confirm {shared.protected}",
            )
        return
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Declined(f"nobody can be asked whether to {what}", hint="add --yes to do it")
    if not click.confirm(safe.one_line(f"{what[:1].upper()}{what[1:]}?"), err=True):
        raise Declined("nothing was changed")
