"""The command line; `main` is its entry point."""

from ropeway.cli.root import main

__all__ = ["main"]
