"""`ropeway support-bundle`: enough to help with, and nothing that is secret."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from ropeway.cli.bundle import Part, secrets_of, without_secrets
from ropeway.config import load
from tests.cli.support import call, url

FILES = {
    "README.txt",
    "versions.json",
    "doctor.json",
    "settings.json",
    "queues.json",
    "workers.json",
    "errors.json",
}


def unpacked(path: Path) -> dict[str, str]:
    """Read an archive; all is in one folder of its name."""
    with tarfile.open(path) as archive:
        found = {}
        for entry in archive:
            folder, _, name = entry.name.partition("/")
            assert folder == path.name.partition(".")[0]
            file = archive.extractfile(entry)
            assert file is not None
            found[name] = file.read().decode()
    return found


def test_what_is_in_it(here: Path, jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and settings; no argument, no result, no message of an error, and no secret."""
    monkeypatch.setenv("ROPEWAY_OUTBOX", "postgresql://ann:ge%20heim@db/shop")
    monkeypatch.setenv("SHOP_API_KEY", "k-123456")
    (here / "worker.log").write_text("old\n" * 2000 + 'key k-123456 password="x y" ge heim\nlast\n')
    told = json.loads(call("support-bundle", "b.tar.gz", "--log", "worker.log", "--json").stdout)
    found = unpacked(here / "b.tar.gz")
    assert (here / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    assert found.keys() == FILES | {"log-1.txt"} == {each["name"] for each in told}
    assert all(name in found["README.txt"] for name in FILES - {"README.txt"})
    whole = "".join(found.values())
    for secret in ("heim", "k-123456", "x y", "found", "first", '"x"', "\x1b", "no task is called"):
        assert secret not in whole, secret
    assert found["log-1.txt"].splitlines()[-2:] == ['key ••• password="•••" •••', "last"]
    assert len(found["log-1.txt"].splitlines()) == 1000
    queues = {each["queue"]: each for each in json.loads(found["queues.json"])}
    assert (queues["queued"]["ready"], queues["queued"]["paused"]) == (1, False)
    (kept,) = json.loads(found["errors.json"])
    assert (kept["state"], kept["task"], kept["jobs"]) == ("quarantined", "tasks.quarantined", 1)
    assert kept["error"] == "unknown_task"
    settings = {each["setting"]: each for each in json.loads(found["settings.json"])}
    assert settings["url"]["value"] == load({}).url == url()
    assert settings["outbox"]["place"] == "ROPEWAY_OUTBOX"


def test_nothing_is_overwritten_and_print_writes_nothing(here: Path) -> None:
    """Neither a file nor a database is made by looking."""
    printed = call("support-bundle", "--print")
    assert printed.exit_code == 0
    assert "== versions.json: " in printed.stdout and "there is no database" in printed.stdout
    assert sorted(path.name for path in here.iterdir()) == ["pyproject.toml"]
    (here / "b.tar.gz").write_text("mine")
    found = call("support-bundle", "b.tar.gz")
    assert (found.exit_code, "is there already" in found.stderr) == (9, True)
    assert (here / "b.tar.gz").read_text() == "mine"
    assert call("support-bundle", "none/b.tar.gz").exit_code == 9


@pytest.mark.parametrize(
    "where",
    [
        "redis://:geheim@127.0.0.1:1/0",
        "nope://ann:geheim@db",
        "sqlite:////proc/none/x.db?token=geheim",
    ],
)
def test_a_database_that_cannot_be_reached(here: Path, where: str) -> None:
    """Is told, and is no obstacle: that is when the bundle is wanted."""
    found = call("support-bundle", "b.tar.gz", "-u", where)
    assert found.exit_code == 0
    files = unpacked(here / "b.tar.gz")
    assert files.keys() >= {"versions.json", "doctor.json", "database.json"}
    assert "geheim" not in "".join(files.values()) + found.output


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("token=abc, x=1", "token=•••, x=1"),
        ('{"api_key": "a\\"b", "x": 1}', '{"api_key": "•••", "x": 1}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer •••"),
        ("DB_PASSWORD='a b' ok", "DB_PASSWORD='•••' ok"),
        ("redis://u:p@h/0?sslkey=s failed", "redis://u:***@h/0?sslkey=*** failed"),
        ("tokens are counted", "tokens are counted"),
        ("lost longsecret here", "lost ••• here"),
    ],
)
def test_secrets_in_any_text(text: str, hidden: str) -> None:
    """By their names, by their place in a URL, and those that are known."""
    known = secrets_of(["x://u:longsecret@h", "x://["], {"TOKEN_CHECK": "false", "A": "abcdefg"})
    assert known == ["longsecret"]
    (found,) = without_secrets([Part("a", "b", text)], known)
    assert found.text == hidden


def test_a_long_word_takes_no_time() -> None:
    """A line of a log may be of any length."""
    text = "a" * 1_000_000 + " " * 100_000
    assert without_secrets([Part("a", "b", text)], [])[0].text == text
