"""What the dashboard costs, and what it looks like: `python -m benchmarks.dashboard --help`."""
