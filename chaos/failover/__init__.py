"""A server that dies for good while a standby takes its place: what is lost by that."""
