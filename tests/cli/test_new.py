"""`ropeway new`: each template is a program that works as it is."""

from __future__ import annotations

import json
import os
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

DJANGO = """
import os
import sys
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "web.settings"
import django
django.setup()
from django.test import Client

call_command("makemigrations", check=True, verbosity=0)
call_command("migrate", verbosity=0)
call_command("check")
client = Client(headers={"host": "localhost"})
sent = client.post("/orders/", {"item": "tea"})
assert sent.status_code == 202, sent.content
number = sent.json()["number"]
while not (told := client.get(f"/orders/{number}/").json())["confirmed"]:
    pass
print(told["item"])
assert client.get("/orders/77/").status_code == 404
assert client.get("/orders/").status_code == 405
"""

USES = {
    "script": ["send.py"],
    "flask": ["-c", FLASK],
    "fastapi": ["-c", FASTAPI],
    "django": ["-c", DJANGO],
}
COUNTED = "counted to 2\n"
RESULTS = {
    "script": "5\n",
    "flask": COUNTED,
    "fastapi": COUNTED,
    "django": "System check identified no issues (0 silenced).\ntea\n",
}
APPS = {"django": "worker:app"}


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
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert "@NAME@" not in "".join(path.read_text() for path in files)
    app = APPS.get(template, "tasks:app")
    assert process("config", "validate", "-A", app).returncode == 0
    command = [sys.executable, *USES[template]]
    with working(eventually):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, RESULTS[template]), done.stderr
    assert Path(".ropeway/ropeway.db").exists(), "the data are the project's"


def test_the_tests_of_a_project_pass(here: Path) -> None:
    """Those that the template brings, with neither a worker nor a database."""
    call("new", "my-shop", "--template", "django")
    command = [sys.executable, "-W", "error", "manage.py", "test"]
    done = subprocess.run(
        command, cwd="my-shop", capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 3 tests" in done.stderr
    assert not (here / "my-shop" / "db.sqlite3").exists()
    assert not (here / "my-shop" / ".ropeway").exists()


def test_without_debugging_a_secret_is_needed(here: Path) -> None:
    """A project that is served to others does not start with the key that everybody knows."""
    call("new", "my-shop", "--template", "django")
    done = process("tasks", "ls", cwd="my-shop", env={**os.environ, "DJANGO_DEBUG": "0"})
    assert done.returncode != 0
    assert "set DJANGO_SECRET_KEY" in done.stderr


def test_a_type_checker_finds_no_fault(here: Path) -> None:
    """Strictly; those that need no more have the same tasks."""
    alike = [each for each in TEMPLATES if each not in APPS]
    for template in alike:
        call("new", template, "--template", template)
    assert (
        len({here.joinpath(each, "tasks.py").read_text().partition("\n")[2] for each in alike}) == 1
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
