"""Seeded faults against a running system, and a checker of what it did: `python -m chaos`."""
