"""Measurements of ropeway beside a peer, with real worker processes: `python -m benchmarks`."""
