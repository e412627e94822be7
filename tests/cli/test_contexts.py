"""Contexts: the right place by name, secrets that are named and not kept, and protection."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import Result

from ropeway.cli import contexts
from ropeway.cli.contexts import Context, resolved, shown
from ropeway.errors import ConfigError
from ropeway.message import Message
from tests.cli import support
from tests.cli.support import call


def alone(*words: str) -> Result:
    """Run a command as if in a process of its own: what it says to its children is forgotten."""
    try:
        return call(*words)
    finally:
        for name in ("ROPEWAY_URL", "ROPEWAY_BROKER"):
            os.environ.pop(name, None)


@pytest.fixture
def prod(here: Path) -> Path:
    """Keep a protected context, whose database has one job; the project's own has none."""
    with support.database() as backend:
        support.send(backend, Message(id=support.IDS["queued"], task="t", queue="mail"))
    (here / ".ropeway").rename(here / "prod")
    where = f"sqlite:///{here}/prod/ropeway.db"
    assert alone("contexts", "add", "prod", "--url", where, "--protected").exit_code == 0
    return here


def ready(*words: str) -> int:
    """Count what is ready in the place that a command looks at."""
    found = json.loads(alone("status", "--json", *words).stdout)
    return sum(queue["ready"] for queue in found["queues"])


def test_which_place_is_meant(prod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option, else the variable, else the one in use; and that not for what imports an app."""
    assert (ready(), ready("-C", "prod")) == (0, 1)
    assert "/prod/ropeway.db" in alone("-C", "prod", "status").stdout
    assert alone("contexts", "use", "prod").exit_code == 0
    assert (ready(), ready("-u", "sqlite:///other.db")) == (1, 0)
    assert json.loads(alone("schedules", "ls", "-u", "sqlite:///other.db", "--json").stdout) == []
    assert "/prod/" not in alone("config", "show").stdout
    assert "/prod/" in alone("config", "show", "-C", "prod").stdout
    monkeypatch.setenv("ROPEWAY_URL", "sqlite:///other.db")
    assert call("status").stdout.startswith("healthy\n")
    monkeypatch.delenv("ROPEWAY_URL")
    assert alone("contexts", "use", "--none").exit_code == 0
    assert ready() == 0
    for words in (
        ("-u", "sqlite:///x.db", "status", "-C", "prod"),
        ("-C", "prod", "status", "-u", "x"),
    ):
        found = alone(*words)
        assert (found.exit_code, "not both" in found.stderr) == (2, True)


def test_a_protected_context_wants_its_name(prod: Path) -> None:
    """Not a yes, and not another name; what only looks needs nothing."""
    purge = ("queues", "purge", "mail", "-C", "prod")
    for more in ((), ("--yes",), ("--yes", "--confirm", "pro")):
        found = alone(*purge, *more)
        assert (found.exit_code, "add --confirm prod" in found.stderr) == (3, True)
        assert ready("-C", "prod") == 1
    assert alone("contexts", "use", "prod").exit_code == 0
    assert alone("queues", "purge", "mail", "--yes").exit_code == 3
    assert alone(*purge, "--dry-run").exit_code == 0
    assert alone(*purge, "--confirm", "prod").exit_code == 0
    assert ready("-C", "prod") == 0


def test_keeping_and_forgetting(prod: Path) -> None:
    """The file is for its owner; nothing is replaced unasked; names are suggested."""
    file = contexts.path()
    assert file == prod / "config" / "ropeway" / "contexts.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert alone("contexts", "add", "prod", "--url", "memory://").exit_code == 9
    assert alone("contexts", "add", "a b", "--url", "memory://").exit_code == 10
    alone("contexts", "add", "stage", "--url", "env:STAGE", "--broker", "amqp://h")
    listed = json.loads(alone("contexts", "ls", "--json").stdout)
    assert [each["name"] for each in listed] == ["prod", "stage"]
    assert json.loads(alone("contexts", "show", "stage", "--json").stdout) == listed[1]
    assert "prod: sqlite:///" in alone("contexts", "test", "prod").stdout
    gone = alone("contexts", "test", "stage")
    assert (gone.exit_code, "the variable STAGE" in gone.stderr) == (10, True)
    os.environ["STAGE"] = f"sqlite:///{prod}/none.db"
    alone("contexts", "add", "stage", "--url", "env:STAGE", "--replace")
    assert alone("contexts", "test", "stage").exit_code == 7
    found = alone("status", "-C", "prd")
    assert (found.exit_code, "did you mean prod?" in found.stderr) == (10, True)
    assert alone("check", "-C", "prd").exit_code == 3
    alone("contexts", "use", "prod")
    assert alone("contexts", "rm", "prod").exit_code == 0
    assert (contexts.read().used, ready()) == (None, 0)
    file.write_text("{")
    assert alone("status").exit_code == 10


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://u:geheim@h/d", False),
        ("postgresql://u:ge{env:A}@h/d", False),
        ("redis://h/0?token=geheim&x={env:A}", False),
        ("postgresql://u:{env:A}@h/d", True),
        ("redis://h/0?token={file:/x y}", True),
        ("env:A", True),
        ("sqlite:////srv/jobs.db", True),
    ],
)
def test_no_secret_is_kept_unasked(here: Path, url: str, kept: bool) -> None:
    """Only the name of a place where it is."""
    found = alone("contexts", "add", "c", "--url", url)
    assert (found.exit_code == 0) is kept
    assert contexts.path().exists() is kept
    assert "geheim" not in found.output
    assert alone("contexts", "add", "c", "--url", url, "--store-secret", "--replace").exit_code == 0
    assert "geheim" not in alone("contexts", "ls").stdout + alone("contexts", "show", "c").stdout
    assert (shown(url) == url) is kept


def test_secrets_are_looked_up(tmp_path: Path) -> None:
    """In variables and in the first lines of files, and encoded within a URL."""
    (tmp_path / "secret").write_text("p@ss/word\n")
    url = f"postgresql://u:{{file:{tmp_path}/secret}}@{{env:HOST}}/d"
    context = Context(name="c", url=url, broker="env:BROKER")
    environment = {"HOST": "db", "BROKER": "amqp://u:p@h"}
    assert resolved(context, environment) == ("postgresql://u:p%40ss%2Fword@db/d", "amqp://u:p@h")
    with pytest.raises(ConfigError, match="the variable BROKER"):
        resolved(context, {"HOST": "db"})
    with pytest.raises(ConfigError, match="the file /none"):
        resolved(Context(name="c", url="file:/none"), {})
