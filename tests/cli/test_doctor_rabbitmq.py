"""`ropeway doctor` on RabbitMQ: what is promised, what is not, and the setting that would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ropeway.backends.rabbitmq.looking import Look
from ropeway.cli.checks import rabbitmq
from ropeway.errors import Refused
from tests.cli.support import call
from tests.servers.process import free_port
from tests.servers.rabbitmq import RabbitMQ


def checks(monkeypatch: pytest.MonkeyPatch, code: int = 0) -> dict[str, dict[str, Any]]:
    """Return the findings by name."""
    found = call("doctor", "--json")
    assert found.exit_code == code, found.output
    return {check["name"]: check for check in json.loads(found.stdout)}


def test_a_server_is_asked_and_tried(
    tasks: Path, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a store and alone; what it is, how far, and that a quorum queue keeps a message."""
    monkeypatch.setenv("ROPEWAY_BROKER", url := rabbitmq.fresh())
    found = checks(monkeypatch)
    assert found["rabbitmq"]["fact"].startswith("RabbitMQ 3.")
    assert found["distance"]["fact"].endswith(" ms") and found["change"]["status"] == "ok"
    assert (
        found["alarms"]["status"] == found["quorum"]["status"] == found["holding"]["status"] == "ok"
    )
    assert "amqp://h1,h2,h3/" in found["failover"]["remedy"]
    monkeypatch.delenv("ROPEWAY_BROKER")
    monkeypatch.setenv("ROPEWAY_URL", url)
    found = checks(monkeypatch)
    assert found["holding"]["status"] == "warn" and "a second time" in found["holding"]["fact"]
    vhost = url.rpartition("/")[2]
    assert "doctor" not in rabbitmq.ctl("list_queues", "--vhost", vhost, "name")


def test_a_server_that_is_away_or_shuts_out(
    tasks: Path, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are said, without the password."""
    monkeypatch.setenv("ROPEWAY_BROKER", f"amqp://u:hunter2@127.0.0.1:{free_port()}/")
    assert checks(monkeypatch, 1)["rabbitmq"]["status"] == "fail"
    monkeypatch.setenv("ROPEWAY_BROKER", rabbitmq.url.replace("guest:guest", "guest:hunter2"))
    found = checks(monkeypatch, 1)
    assert "does not let in 'guest'" in found["rabbitmq"]["fact"]
    assert "hunter2" not in json.dumps(found)


def test_what_is_judged() -> None:
    """An alarm stops sends; queues that may not be made are told as the server tells it."""
    alarm = Look(told={}, trips=[0.001], alarm="low on memory")
    assert rabbitmq.judged_alarm(alarm).status == "fail"
    assert "low on memory" in rabbitmq.judged_alarm(alarm).fact
    assert rabbitmq.judged_queues(alarm).status == "warn"
    refused = Look(told={}, trips=[0.001], unkept=Refused("RabbitMQ refuses it: 403", hint="log"))
    assert rabbitmq.judged_queues(refused).status == "fail"
    assert rabbitmq.judged_failover(3).remedy == ""
