"""Options of queues in a shell, and calls that are published without their code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropeway import Ropeway
from tests.cli.support import call


@pytest.fixture(autouse=True)
def app(here: Path) -> Ropeway:
    """Return an app whose database is there."""
    app = Ropeway(f"sqlite:///{here / '.ropeway' / 'ropeway.db'}")
    app.exchange("logs", "topic")
    app.exchanges.declare()
    return app


BOUNDED = ("--max-length", "2", "--message-ttl", "5m", "--dead-letter-exchange", "logs")


def test_declared_bound_and_deleted(app: Ropeway) -> None:
    """As it is told; what is there otherwise is a conflict, and all of it goes together."""
    assert call("queues", "declare", "orders", *BOUNDED).exit_code == 0
    assert call("queues", "declare", "orders", *BOUNDED).exit_code == 0
    found = call("queues", "declare", "orders", "--max-length", "3")
    assert found.exit_code == 9
    assert "max_length=2" in found.stderr
    assert "max_length=3" in found.stderr
    wrong = call("queues", "declare", "more", "--overflow", "block")
    assert "is for a queue with max_length" in wrong.stderr
    assert call("queues", "bind", "orders", "logs", "eu.#").exit_code == 0
    assert call("bindings").stdout.splitlines() == ["logs\torders\teu.#"]
    for _ in range(2):
        assert call("publish", "logs", "eu.x", "--task", "t.note").exit_code == 0
    assert call("publish", "", "orders", "--task", "t.note").exit_code == 7
    shown = call("queues", "show", "orders")
    assert "options  max_length=2, message_ttl=300.0, dead_letter_exchange=logs" in shown.stdout
    assert json.loads(call("queues", "show", "orders", "-o", "json").stdout)["options"] == {
        "max_length": 2,
        "message_ttl": 300.0,
        "dead_letter_exchange": "logs",
    }
    assert call("queues", "delete", "orders").exit_code == 3
    gone = call("queues", "delete", "orders", "--yes")
    assert "2 jobs with it" in gone.stderr
    assert call("bindings").stdout == ""
    assert app.exchanges.ls().queues == {}
    deeds = [line.split("\t")[3] for line in call("audit").stdout.splitlines()]
    assert deeds[:2] == ["queues.purge", "queues.delete"]


def test_to_a_file_and_back(here: Path) -> None:
    """Options go along with exchanges and bindings."""
    call("queues", "declare", "orders", *BOUNDED)
    call("queues", "bind", "orders", "logs", "eu.#")
    file = here / "topology.json"
    file.write_text(call("topology", "export").stdout)
    assert call("topology", "diff", str(file)).stdout == "no difference\n"
    call("queues", "unbind", "orders", "logs", "eu.#")
    call("queues", "delete", "orders", "--yes")
    call("queues", "declare", "other", "--max-length", "1")
    lines = call("topology", "diff", str(file)).stdout.splitlines()
    assert lines == [
        "+ binding logs -[eu.#]-> orders",
        "+ queue orders max_length=2 message_ttl=300.0 dead_letter_exchange=logs",
        "- queue other max_length=1",
    ]
    assert call("topology", "apply", str(file), "--prune", "--yes").exit_code == 0
    assert call("topology", "diff", str(file)).stdout == "no difference\n"


def test_what_is_published_runs(app: Ropeway) -> None:
    """With its arguments, headers and priority; what is no object of arguments is refused."""

    @app.task(name="t.note")
    def note(text: str) -> str:
        return text

    call("queues", "bind", "notes", "logs", "#")
    body = ("--task", "t.note", "--body", '{"text": "hello"}', "-H", "a=b", "--priority", "9")
    job_id = call("publish", "logs", "x", *body).stdout.strip()
    (waiting,) = json.loads(call("queues", "peek", "notes", "-o", "json").stdout)
    assert (waiting["id"], waiting["priority"]) == (job_id, 9)
    assert call("publish", "nowhere", "x", *body).exit_code == 9
    assert call("publish", "nowhere", "x", "--no-mandatory", *body).exit_code == 9
    wrong = call("publish", "logs", "x", "--task", "t.note", "--body", "[1]")
    assert wrong.exit_code == 2
    assert "no JSON object" in wrong.stderr
