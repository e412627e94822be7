"""A newcomer's minute: the built wheel in an environment of its own, and nothing but the README."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from ropeway.version import __version__
from tests.docs import pages
from tests.docs.test_examples import run_text

A_MINUTE = 60.0


def pip(*words: str) -> None:
    """Run pip on files alone."""
    offline = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", *words, *offline], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release does, from files alone."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "-w", str(folder), str(pages.ROOT))
    (built,) = folder.glob("*.whl")
    return built


def needed(name: str, seen: set[str]) -> Iterator[Distribution]:
    """Yield what a package needs, without extras, and what that needs."""
    for requirement in distribution(name).requires or ():
        found = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert found is not None
        if "extra ==" in requirement or found[0] in seen or not _applies(requirement):
            continue
        seen.add(found[0])
        yield distribution(found[0])
        yield from needed(found[0], seen)


def _applies(requirement: str) -> bool:
    from packaging.requirements import Requirement

    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate()


def environment(folder: Path, wheel: Path) -> Path:
    """Make an environment with the wheel, and with what the wheel says it needs; return its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    for each in needed("ropeway", set()):
        for name in {file.parts[0] for file in each.files or () if ".." not in file.parts}:
            link = packages / name
            if not link.exists():
                link.symlink_to(Path(str(each.locate_file(name))))
    pip("--python", str(python), "install", str(wheel))
    return python


def test_from_nothing_to_a_finished_task(wheel: Path, tmp_path: Path) -> None:
    """The README's own text, in an empty directory, within a minute."""
    begun = time.monotonic()
    python = environment(tmp_path / "venv", wheel)
    where = subprocess.run(
        [python, "-c", "import ropeway; print(ropeway.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.startswith(str(tmp_path)), "another ropeway was found"
    status, output = run_text(pages.page("README.md"), tmp_path, "README.md", str(python))
    assert status == 0, output
    assert time.monotonic() - begun < A_MINUTE


def test_the_wheel_has_all_that_is_read(wheel: Path) -> None:
    """Statements, the page of errors, templates, types; and nothing else beside the code."""
    names = zipfile.ZipFile(wheel).namelist()
    source = pages.ROOT / "src"
    kept = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert kept <= set(names)
    information = f"ropeway-{__version__}.dist-info/"
    assert {name for name in names if not name.startswith(information)} == kept
