"""`ropeway config`: every setting, where it comes from, and what is wrong with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ropeway.config import OTHER_VARIABLES, Settings, seconds
from ropeway.safe import masked
from tests.cli.support import call, process

APP = "from ropeway import Ropeway\napp = Ropeway(lease='45s', grace=7)\n"


def places(*words: str) -> dict[str, tuple[object, str]]:
    """Return the value and the place of each setting."""
    found = process("config", "show", "--json", *words)
    assert found.returncode == 0, found.stderr
    return {each["setting"]: (each["value"], each["place"]) for each in json.loads(found.stdout)}


def test_where_each_value_comes_from(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment, the code, the file, or nowhere: what wins is what is shown."""
    here.joinpath("pyproject.toml").write_text("[tool.ropeway]\ngrace = '9s'\nkeep = '2d'\n")
    here.joinpath("tasks.py").write_text(APP)
    monkeypatch.setenv("ROPEWAY_LEASE", "50")
    file = str(here / "pyproject.toml")
    alone = places()
    assert list(alone) == list(Settings.__struct_fields__)
    assert alone["lease"] == (50.0, "ROPEWAY_LEASE")
    assert alone["grace"] == (9.0, file)
    assert alone["keep"] == (172_800.0, file)
    assert alone["max_message"] == (1_048_576, "default")
    with_app = places("-A", "tasks.py")
    assert with_app["lease"] == (50.0, "ROPEWAY_LEASE")
    assert with_app["grace"] == (7.0, "code")
    assert with_app["keep"] == (172_800.0, file)


def test_secrets_are_masked(here: Path) -> None:
    """In every form."""
    for form in ("table", "json", "csv"):
        found = call("config", "show", "-u", "sqlite://me:geheim@/x.db?token=geheim", "-o", form)
        assert "***" in found.stdout
        assert "geheim" not in found.stdout


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host:1/0", "redis://:***@host:1/0"),
        ("pg://u:p%40w@h/d?sslpassword=x&a=b", "pg://u:***@h/d?sslpassword=***&a=b"),
        ("sqlite:////srv/a.db", "sqlite:////srv/a.db"),
        ("redis://[::bad", "redis://[::bad"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    """The rest of a URL stays readable."""
    assert masked(url) == shown


def test_validate(here: Path) -> None:
    """Says so when all is well."""
    found = call("config", "validate")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "can be used" in found.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ROPEWAY_LEASE", "soon", "lease='soon' is not a duration"),
        ("ROPEWAY_LAESE", "5s", "did you mean ROPEWAY_LEASE?"),
        ("ROPEWAY_URL", "oracle://x", "no backend speaks 'oracle'"),
    ],
)
def test_what_is_wrong(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    """Is one error, and exit code 10."""
    monkeypatch.setenv(name, value)
    found = call("config", "validate")
    assert found.exit_code == 10
    assert says in found.stderr


def test_what_is_wrong_in_the_code(here: Path) -> None:
    """Is found when the app is named."""
    here.joinpath("tasks.py").write_text("from ropeway import Ropeway\napp = Ropeway(lase=1)\n")
    found = process("config", "validate", "-A", "tasks.py")
    assert found.returncode == 10
    assert "did you mean 'lease'?" in found.stderr
    assert call("config", "validate").exit_code == 0


def test_every_variable_is_known() -> None:
    """What the code reads is a setting, or among the others."""
    source = Path(__file__).parents[2] / "src"
    files = [path for path in source.rglob("*.py") if "demo" not in path.parts]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    known = {f"ROPEWAY_{name.upper()}" for name in Settings.__struct_fields__}
    found = set(re.findall(r"ROPEWAY_[A-Z_]*[A-Z]\b", text))
    assert found <= known | {*OTHER_VARIABLES, "ROPEWAY_COMPLETE"}


def test_schema() -> None:
    """Of every setting, and of what a duration may be; `config validate` and it agree."""
    found = json.loads(call("config", "schema", "--json").stdout)
    assert set(found["properties"]) == {*Settings.__struct_fields__, "app"}
    assert not found["additionalProperties"]
    number, text = found["properties"]["lease"]["anyOf"]
    assert number["type"] == "number" and found["properties"]["lease"]["default"] == 60.0
    for given in ("90s", "1h 30m", "500ms", "2w"):
        assert re.match(text["pattern"], given) and seconds(given) > 0
    assert not re.match(text["pattern"], "soon")
