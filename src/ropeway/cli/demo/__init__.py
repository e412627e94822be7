"""The demo: friends of friends in a real web of trust, with a child killed half-way."""
