"""What keeps the harness from saying anything."""

from __future__ import annotations


class HarnessError(Exception):
    """The run could not be made; it says nothing about the product."""
