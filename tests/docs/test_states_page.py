"""The page of states shows the table that the code uses."""

from __future__ import annotations

from ropeway.states import State, diagram
from tests.docs import pages

PAGE = "docs/concepts/states.md"


def test_the_diagram_is_the_table() -> None:
    """The page has one Mermaid diagram, and it is the one that the code draws."""
    drawn = [block.text for block in pages.blocks(pages.page(PAGE)) if block.language == "mermaid"]
    assert drawn == [diagram() + "\n"]


def test_every_state_is_explained() -> None:
    """Each state has a row of its own."""
    text = pages.page(PAGE)
    assert [state for state in State if f"\n| `{state}` | " not in text] == []
