"""The settings: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.config import (
    Settings,
    default_url,
    load,
    project_directory,
    project_table,
    seconds,
)
from ropeway.errors import ConfigError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty project, whatever the developer's own environment says."""
    for name in Settings.__struct_fields__:
        monkeypatch.delenv(f"ROPEWAY_{name.upper()}", raising=False)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, table: str) -> None:
    """Write the project's table of settings."""
    (project / "pyproject.toml").write_text(f"[tool.ropeway]\n{table}\n", encoding="utf-8")


# -- durations -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (0, 0.0),
        (90, 90.0),
        (0.25, 0.25),
        ("0s", 0.0),
        ("90s", 90.0),
        ("1.5m", 90.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        (" 1h 30 m ", 5400.0),
        ("1d", 86_400.0),
        ("2w", 1_209_600.0),
        ("250ms", 0.25),
    ],
)
def test_durations(written: float | str, expected: float) -> None:
    """Numbers are seconds; texts have units, which add up."""
    assert seconds(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "5", "s", "-5s", "5s-", "1,5h", "1e3s", "5x", "5 parsecs", "1h and 5m"),
        *(-1, -0.001, float("nan"), float("inf"), -float("inf"), 10**400, "9" * 400 + "s"),
        *(True, False, None, [], [5], {}, b"5s"),
    ],
)
def test_what_is_no_duration(written: Any) -> None:
    """Whatever it is, the error names the setting and shows a way to write it."""
    with pytest.raises(ConfigError, match="grace=") as caught:
        seconds(written, "grace")
    assert caught.value.hint.startswith("write ")


@given(st.text() | st.floats() | st.integers() | st.none() | st.lists(st.integers()))
def test_a_duration_is_a_number_of_seconds_or_an_error(written: Any) -> None:
    """Nothing else comes out, whatever goes in."""
    try:
        found = seconds(written)
    except ConfigError:
        return
    assert isinstance(found, float)
    assert 0 <= found < float("inf")


# -- where settings come from ----------------------------------------------------------------------


def test_the_defaults_need_nothing(project: Path) -> None:
    """Without a word from anybody there is a database in the project, and settings that work."""
    found = load({})
    assert found == Settings(url=f"sqlite:///{project}/.ropeway/ropeway.db")
    assert found.lease >= 1


def test_the_environment_before_the_code_before_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment can be moved without a change of code; the project's table comes last."""
    write(project, "grace = 10\nlease = '10s'\nkeep = '10m'")
    assert load({}).grace == 10.0
    given_ = {"grace": 20, "lease": "20s"}
    assert (load(given_).grace, load(given_).lease, load(given_).keep) == (20.0, 20.0, 600.0)
    monkeypatch.setenv("ROPEWAY_GRACE", "30")
    monkeypatch.setenv("ROPEWAY_LEASE", "1m")
    monkeypatch.setenv("ROPEWAY_MAX_MESSAGE", "2048")
    monkeypatch.setenv("ROPEWAY_URL", "memory://")
    found = load(given_)
    assert (found.grace, found.lease, found.keep) == (30.0, 60.0, 600.0)
    assert (found.max_message, found.url) == (2048, "memory://")


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a script has emptied says nothing."""
    monkeypatch.setenv("ROPEWAY_URL", "")
    monkeypatch.setenv("ROPEWAY_LEASE", "")
    assert load({"url": "memory://"}).url == "memory://"
    assert load({}).lease == Settings().lease


def test_the_nearest_project_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From anywhere inside a project the same database is found; outside, it is right here."""
    inside = project / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert project_directory() == project
    assert default_url() == f"sqlite:///{project}/.ropeway/ropeway.db"
    (project / "a" / "pyproject.toml").touch()
    assert project_directory() == project / "a"
    (project / "a" / "pyproject.toml").unlink()
    (project / "pyproject.toml").unlink()
    assert project_directory() == inside
    assert project_table() == {}


def test_the_name_of_the_app_is_no_setting(project: Path) -> None:
    """`app` in the project's table is for the command line."""
    write(project, "app = 'shop.tasks:app'")
    assert load({}).lease == Settings().lease
    assert project_table() == {"app": "shop.tasks:app"}


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "says", "hint"),
    [
        ({"leese": 5}, "'leese'", "'lease'"),
        ({"keep_faild": 5}, "'keep_faild'", "'keep_failed'"),
        ({"xyzzy": 5}, "'xyzzy'", "settings"),
        ({"lease": 0.5}, "lease=0.5", "1 second"),
        ({"lease": "soon"}, "lease='soon'", "90s"),
        ({"lease": None}, "lease=None", "seconds"),
        ({"keep": -1}, "keep=-1", "seconds"),
        ({"max_message": 10}, "max_message=10", "1024"),
        ({"max_message": "much"}, "max_message", ""),
        ({"url": 5}, "url", ""),
    ],
)
def test_what_cannot_be_used(given_: dict[str, Any], says: str, hint: str) -> None:
    """The error says which setting it is and, where there is one, shows the way."""
    with pytest.raises(ConfigError) as caught:
        load(given_)
    assert says in caught.value.fact
    assert hint in caught.value.hint


def test_a_table_with_unusable_values(project: Path) -> None:
    """What is in the file is checked as what is in the code."""
    for table in ("lease = [1]", "lease = 2020-01-01", "leese = 5", "max_message = 1.5"):
        write(project, table)
        with pytest.raises(ConfigError):
            load({})


@pytest.mark.parametrize("text", [b"[tool.ropeway", b"a = \xff"])
def test_a_file_that_cannot_be_read(project: Path, text: bytes) -> None:
    """The error names the file."""
    (project / "pyproject.toml").write_bytes(text)
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        load({})


def test_less_is_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many records stay depends on where they are, unless it is said."""
    assert load({}).keep_count == 1_000_000
    assert load({"url": "redis://host"}).keep_count == 100_000
    assert load({"url": "redis://host", "keep_count": 7}).keep_count == 7
    monkeypatch.setenv("ROPEWAY_URL", "rediss://host")
    assert load({}).keep_count == 100_000
