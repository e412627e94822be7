"""Pages are finished, and their links lead somewhere."""

from __future__ import annotations

import re

import pytest

from tests.docs import pages

ALL = pages.names("*.md", "docs/**/*.md")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|(?i:coming soon))\b")
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:|#)([^)\s#]+)(?:#[^)\s]*)?(?: \"[^\"]*\")?\)")


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_unfinished(name: str) -> None:
    """What is not there is not announced."""
    lines = enumerate(pages.page(name).splitlines(), start=1)
    assert [f"{number}: {line}" for number, line in lines if UNFINISHED.search(line)] == []


@pytest.mark.parametrize("name", ALL)
def test_links_to_files_resolve(name: str) -> None:
    """A relative link leads to a file of the repository."""
    folder = (pages.ROOT / name).parent
    links = LINK.findall(pages.prose(pages.page(name)))
    assert [link for link in links if not folder.joinpath(link).exists()] == []


@pytest.mark.parametrize("folder", ["tutorial", "howto", "concepts", "reference", "decisions"])
def test_every_kind_of_page_is_there(folder: str) -> None:
    """The documentation has each of its kinds."""
    assert any((pages.ROOT / "docs" / folder).rglob("*.md")), f"docs/{folder} has no page"
