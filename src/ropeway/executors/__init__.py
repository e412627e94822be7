"""Executors: each runs calls of one kind inside a child process."""
