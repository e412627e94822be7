"""`ropeway audit`: what the command line does is on record."""

from __future__ import annotations

import json

from tests.cli.support import call


def test_commands_are_on_record(jobs: dict[str, str]) -> None:
    """Whatever changes something by hand; a look or a dry run is not."""
    call("jobs", "ls")
    call("jobs", "cancel", "--filter", "state:queued", "--dry-run")
    assert call("audit").stdout == ""
    call("queues", "pause", "mail", "--why", "spam")
    call("jobs", "cancel", jobs["queued"])
    call("jobs", "retry", "--filter", "state:failed", "--yes")
    call("jobs", "cancel", jobs["failed"])
    call("exchanges", "declare", "logs", "--type", "topic")
    call("limits", "set", "api", "5")
    call("queues", "purge", "mail", "--yes")
    found = json.loads(call("audit", "--json").stdout)[::-1]
    assert [entry["action"] for entry in found] == [
        "queues.pause",
        "jobs.cancel",
        "jobs.retry",
        "jobs.cancel",
        "exchanges.declare",
        "limits.set",
        "queues.purge",
    ]
    assert found[0]["why"] == "spam"
    assert {entry["via"] for entry in found} == {"cli"}
    assert {entry["outcome"] for entry in found} == {"done"}
    page = call("audit", "--limit", "1")
    assert page.stdout.count("\n") == 1
