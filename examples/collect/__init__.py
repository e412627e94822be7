"""Collecting from an API on a timetable, into a database that a page reads."""
