"""`ropeway new`: each template is a program that works as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway.cli.commands.new import TEMPLATES
from tests.cli.support import Eventually, call, process, working

FLASK = """
from web import web

client = web.test_client()
sent = client.post("/counts/2")
assert sent.status_code == 202, sent.text
while (told := client.get(f"/counts/{sent.json['id']}").json)["state"] != "succeeded":
    pass
print(told["result"])
assert client.get("/counts/unknown").status_code == 404
"""

FASTAPI = """
from fastapi.testclient import TestClient
from web import web

with TestClient(web) as client:
    sent = client.post("/counts/2")
    assert sent.status_code == 202, sent.text
    while (told := client.get(f"/counts/{sent.json()['id']}").json())["state"] != "succeeded":
        pass
    print(told["result"])
    assert client.get("/counts/unknown").status_code == 404
"""

USES = {"script": ["send.py"], "flask": ["-c", FLASK], "fastapi": ["-c", FASTAPI]}
RESULTS = {"script": "5\n", "flask": "counted to 2\n", "fastapi": "counted to 2\n"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_template_works(
    here: Path, monkeypatch: pytest.MonkeyPatch, template: str, eventually: Eventually
) -> None:
    """With a worker, from the folder that was made."""
    made = call("new", "my-shop", "--template", template)
    assert made.exit_code == 0
    assert made.stderr.startswith("Next:\n  cd my-shop\n  ropeway dev &\n")
    assert all(Path(path).is_file() for path in made.stdout.splitlines())
    monkeypatch.chdir(here / "my-shop")
    assert "@NAME@" not in "".join(path.read_text() for path in Path().iterdir())
    assert process("config", "validate", "-A", "tasks:app").returncode == 0
    command = [sys.executable, *USES[template]]
    with working(eventually):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, RESULTS[template]), done.stderr
    assert Path(".ropeway/ropeway.db").exists(), "the data are the project's"


def test_a_type_checker_finds_no_fault(here: Path) -> None:
    """Strictly; all templates have the same tasks."""
    for template in TEMPLATES:
        call("new", template, "--template", template)
    assert (
        len({here.joinpath(each, "tasks.py").read_text().partition("\n")[2] for each in TEMPLATES})
        == 1
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(here), "tasks.py"]
    done = subprocess.run(
        command, cwd=here / "script", capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(here: Path) -> None:
    """A folder with something in it is left alone; an empty one is taken."""
    (here / "shop").mkdir()
    assert json.loads(call("new", "shop", "--json").stdout)["files"][0] == "shop/pyproject.toml"
    (here / "shop" / "tasks.py").write_text("mine")
    found = call("new", "shop")
    assert found.exit_code == 9
    assert (here / "shop" / "tasks.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "a b", "..", "1x", 'x"y', "-", "x\ny"])
def test_a_name_that_is_none(here: Path, name: str) -> None:
    """It goes into a file of TOML, and onto command lines."""
    assert call("new", "--", name).exit_code == 2
    assert [path.name for path in here.iterdir()] == ["pyproject.toml"]
