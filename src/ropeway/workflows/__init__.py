"""Workflows: tasks that wait for other tasks, built as a graph, stored once, and run by settles."""
